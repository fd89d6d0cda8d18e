internal import HTTP
internal import OTP
internal import Twilio

/// Checks the account, the credentials and the senders at Twilio. It only reads, and sends no message.
enum TwilioChecks {
    static let account = Check("twilio-account", "Twilio account")
    static let messages = Check("twilio-messages", "Twilio messages")
    static let sender = Check("twilio-sender", "Twilio sender")
    static let all = [account, messages, sender]

    /// The settings that the findings need besides the answers.
    struct Context: Equatable, Sendable {
        /// `https://api.twilio.com`.
        var baseURL: String
        /// Whether requests carry an API key.
        var usesKey: Bool

        /// The address, where it is not Twilio's own.
        var place: String { baseURL == TwilioSettings.defaultBaseURL ? "" : " (at \(baseURL))" }
    }

    private static let console = "https://console.twilio.com"

    // MARK: The account

    /// The finding about the account. A standard API key may not read the account. Then `messages` shows whether the
    /// key is right.
    static func account(_ answer: HTTPAnswer, messages: HTTPAnswer, _ context: Context) -> Finding {
        guard case .response(let status, let body) = answer else { return unwell(account, answer, context) }
        if status == 401 || status == 403, context.usesKey, messages.status == 200 {
            return account.skip(
                "A standard API key may not read the account, so this check cannot see whether it is active and upgraded.",
                "Open \(console). A banner shows a trial, a suspension or missing funds.")
        }
        guard status == 200 else { return unwell(account, answer, context) }
        guard let found = AccountResource(json: body.span) else { return foreign(account, context) }
        guard found.status == "active" else {
            return account.fail(
                .privileges, "The account is \(found.status), so nothing is sent\(context.place).",
                "Check \(console), Billing, for missing funds, and read the mails from Twilio. otpd sends the waiting jobs "
                    + "when the account is active again.")
        }
        guard found.type != "Trial" else {
            return account.warn(
                "The account is a trial: it sends only to verified phone numbers, and ends after 30 days\(context.place).",
                "Upgrade it at \(console), Billing. Until then, verify your own phone number at Phone Numbers, Verified "
                    + "Caller IDs.")
        }
        return account.pass("active\(context.place)")
    }

    // MARK: Messages

    /// The finding about the list of messages. Without it, otpd cannot settle an unknown outcome.
    static func messages(_ answer: HTTPAnswer, _ context: Context) -> Finding {
        guard case .response(200, let body) = answer else { return unwell(messages, answer, context) }
        guard (try? MessagePage(json: body.span)) != nil else { return foreign(messages, context) }
        return messages.pass("otpd can list messages, so the credentials are right\(context.place).")
    }

    // MARK: Senders

    /// The question to Twilio about a sender.
    enum Lookup: Equatable, Sendable {
        case number(String)
        case shortCode(String)
        /// A name. Twilio's API has no list of names.
        case name(String)
        /// A messaging service. Its API is on another host than TWILIO_API_BASE_URL: messaging.twilio.com.
        case service

        init(_ sender: Sender) {
            self =
                switch sender {
                case .messagingService: .service
                case .from(let text) where text.first == "+": .number(text)
                case .from(let text) where text.utf8.allSatisfy { (0x30...0x39).contains($0) }: .shortCode(text)
                case .from(let text): .name(text)
                }
        }

        /// The path of the question. Nil where Twilio's API has no answer.
        func path(_ endpoint: Twilio.Endpoint) -> String? {
            switch self {
            case .number(let number): endpoint.incomingNumbers(number)
            case .shortCode(let code): endpoint.shortCodes(code)
            case .name, .service: nil
            }
        }

        /// The sender as it may be shown. A phone number is masked.
        var words: String {
            switch self {
            case .number(let number): PhoneMask.mask(e164: number).replacing("•", with: "*")
            case .shortCode(let code): "the short code \(code)"
            case .name(let name): "the name \(SingleLine.quoted(name))"
            case .service: "a messaging service"
            }
        }
    }

    /// The finding about a sender. `countries` are the known countries that use it.
    static func sender(_ lookup: Lookup, _ answer: HTTPAnswer?, countries: [String], _ context: Context) -> Finding {
        let isSaudi = countries.contains("SA")
        let whose = countries.isEmpty ? "" : " for \(countries.joined(separator: ", "))"
        switch lookup {
        case .name:
            let saudi =
                isSaudi
                ? " Saudi Arabia delivers only from registered names: https://www.twilio.com/guidelines/sa/sms" : ""
            return sender.skip(
                "\(lookup.words)\(whose): Twilio's API has no list of names",
                "Check that the name is registered for each country: \(console), Messaging, Senders, Alphanumeric.\(saudi)"
            )
        case .service:
            return sender.skip(
                "\(lookup.words)\(whose): its API is on another host than TWILIO_API_BASE_URL",
                "Check that the service belongs to this account and has senders: \(console), Messaging, Services.")
        case .number, .shortCode: break
        }
        guard let answer else { return sender.skip("\(lookup.words)\(whose): not looked up") }
        guard case .response(let status, let body) = answer else { return unwell(sender, answer, context) }
        if status == 401 || status == 403, context.usesKey {
            return sender.skip(
                "\(lookup.words)\(whose): this API key may not read phone numbers",
                "Check that it can send SMS: \(console), Phone Numbers, Active numbers.")
        }
        guard status == 200 else { return unwell(sender, answer, context) }
        guard let entries = SenderResource.list(json: body.span) else { return foreign(sender, context) }
        let number =
            switch lookup {
            case .number(let text), .shortCode(let text), .name(let text): text
            case .service: ""
            }
        guard let found = entries.first(where: { $0.number == number }) else {
            return sender.fail(
                .configuration,
                "The account does not have \(lookup.words)\(whose), so Twilio refuses its messages (error 21606).",
                "Choose a number of the account: \(console), Phone Numbers, Active numbers. Set it in TWILIO_PHONE_NUMBER "
                    + "or otp.countries.sender.")
        }
        guard found.sendsSMS != false else {
            return sender.fail(
                .configuration, "\(lookup.words)\(whose): this number cannot send SMS, only make calls",
                "Choose a number with SMS among its capabilities: \(console), Phone Numbers, Active numbers.")
        }
        guard !isSaudi else {
            return sender.warn(
                "\(lookup.words)\(whose): it can send SMS, but Saudi Arabia delivers only from registered names",
                "Register a name with Twilio. Then, in psql as a member of otp_admin: UPDATE otp.countries SET sender = "
                    + "'YourName' WHERE region = 'SA';")
        }
        return sender.pass("\(lookup.words)\(whose): it can send SMS")
    }

    // MARK: Errors of any check

    private static func unwell(_ check: Check, _ answer: HTTPAnswer, _ context: Context) -> Finding {
        switch answer {
        case .failure(let error): return unanswered(check, error)
        case .response(let status, let body):
            let error = ErrorBody(body.span)
            let code = error.map { ", error \($0.code)" } ?? ""
            let message = error.map { $0.message.isEmpty ? "" : ": \($0.message)" } ?? ""
            switch (status, error?.code) {
            case (_, 20008):
                return check.fail(
                    .privileges, "These are Twilio's test credentials, which send nothing (\(status)\(code)).",
                    "Set the live account SID and auth token in otpd.env: \(console), Account, API keys & tokens.")
            case (_, 20005), (_, 10001):
                return check.fail(
                    .privileges, "The account is not active, so nothing is sent (\(status)\(code)).",
                    "Check \(console), Billing, for missing funds, and read the mails from Twilio.")
            case (429, _):
                return check.warn(
                    "Twilio answered that requests of this account come too fast (429), so this was not checked.",
                    "Wait a minute and try again: otpd doctor")
            case (300..<500, nil): return foreign(check, context, status: status)
            case (401, _):
                let names =
                    context.usesKey
                    ? "TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET" : "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
                return check.fail(
                    .privileges,
                    "Twilio refuses the credentials (401\(code))\(context.place). They are wrong, changed, deleted or of "
                        + "another account or region, or the account is suspended.",
                    "Copy \(names) again from \(console), Account, API keys & tokens. Then systemctl reload otpd, if the "
                        + "secret is in a file, or systemctl restart otpd.")
            case (403, _):
                return check.fail(
                    .privileges, "Twilio does not permit the request (403\(code))\(message)",
                    "Give the API key the permission, or use a standard key: \(console), Account, API keys & tokens.")
            case (404, _):
                return check.fail(
                    .configuration, "The account does not exist (404\(code))\(context.place).",
                    "Correct TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL in otpd.env.")
            case (500..., _):
                return check.fail(
                    .unreachable, "Twilio has an internal error (\(status)\(code))\(context.place).",
                    "Check https://status.twilio.com for an outage. otpd tries again by itself.")
            default:
                return check.fail(
                    .configuration, "Twilio refuses the request (\(status)\(code))\(message)",
                    "Look up the error code: https://www.twilio.com/docs/api/errors")
            }
        }
    }

    /// The finding for a request without an answer. It shows only the host of the URL.
    private static func unanswered(_ check: Check, _ error: HTTPError) -> Finding {
        let origin = error.origin ?? "Twilio"
        let host = origin.split(separator: "/").last.map { $0.split(separator: ":").first.map(String.init) ?? "" } ?? ""
        switch error.reason {
        case .notSent(.nameLookupFailed):
            return check.fail(
                .unreachable, "The name \(host) cannot be resolved.",
                "Check the name servers in /etc/resolv.conf: getent hosts \(host)")
        case .notSent(.tlsFailed(let words)):
            return check.fail(
                .unreachable, "TLS with \(origin) is not trusted: \(words)",
                "If a proxy replaces Twilio's certificate, name the proxy's certificate in OTPD_CA_FILE. Check the clock "
                    + "with timedatectl. To see the certificate: openssl s_client -connect \(host):443 </dev/null")
        case .notSent(.certificatesUnreadable):
            return check.fail(
                .configuration, "The trusted certificates cannot be read.",
                "Correct OTPD_CA_FILE, or install the system's certificates: apt-get install --reinstall ca-certificates"
            )
        case .notSent(.connectTimedOut), .notSent(.timedOut), .unknown(.timedOut):
            return check.fail(
                .unreachable, "\(origin) does not answer in time.",
                "Check that the firewall allows outgoing connections: curl -sSo /dev/null -m 10 \(origin)")
        case .notSent(let why):
            return check.fail(
                .unreachable, "\(origin) does not answer: \(why)",
                "Try it by hand: curl -sSo /dev/null -m 10 \(origin)")
        case .unknown(let why):
            return check.fail(
                .unreachable, "\(origin) does not answer: \(why)",
                "Try it by hand: curl -sSo /dev/null -m 10 \(origin)")
        case .invalidURL, .insecureURL, .invalidHeader, .canceled, .setup:
            return check.fail(
                .configuration, Sentence.whole("\(error)"), "Correct TWILIO_API_BASE_URL in otpd.env.")
        }
    }

    private static func foreign(_ check: Check, _ context: Context, status: Int? = nil) -> Finding {
        check.fail(
            .configuration,
            "The answer from \(context.baseURL) is not Twilio's\(status.map { " (HTTP status \($0))" } ?? "").",
            "Correct or unset TWILIO_API_BASE_URL. Check whether a proxy answers: curl -sSi -m 10 \(context.baseURL)")
    }
}
