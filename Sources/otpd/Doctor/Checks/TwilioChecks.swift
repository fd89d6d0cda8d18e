internal import HTTP
internal import OTP
internal import Twilio

/// Twilio: whether it answers, knows us, lets us send and list, and has our sender. Reads alone, never a message.
enum TwilioChecks {
    static let account = Check("twilio-account", "Twilio account")
    static let messages = Check("twilio-messages", "Twilio messages")
    static let sender = Check("twilio-sender", "Twilio sender")
    static let all = [account, messages, sender]

    /// What a GET came to.
    enum TwilioReply: Sendable {
        case response(status: Int, body: [UInt8])
        case failure(HTTPError)

        var status: Int? {
            switch self {
            case .response(let status, _): status
            case .failure: nil
            }
        }
    }

    /// What is known besides the answers.
    struct Context: Equatable, Sendable {
        /// `https://api.twilio.com`.
        var baseURL: String
        /// Whether requests are signed in with an API key.
        var usesKey: Bool

        /// Said where it is not Twilio itself.
        var place: String { baseURL == TwilioSettings.defaultBaseURL ? "" : " (at \(baseURL))" }
    }

    private static let console = "https://console.twilio.com"

    // MARK: The account

    /// Standard API keys may send and list and not read the account: then `messages` tells whether they are right.
    static func account(_ answer: TwilioReply, messages: TwilioReply, _ context: Context) -> Finding {
        guard case .response(let status, let body) = answer else { return unwell(account, answer, context) }
        if status == 401 || status == 403, context.usesKey, messages.status == 200 {
            return account.skip(
                "a standard API key may not read the account: whether it is active and upgraded is in the console",
                "Look at \(console): a banner tells of a trial, a suspension or no funds.")
        }
        guard status == 200 else { return unwell(account, answer, context) }
        guard let found = AccountResource(json: body.span) else { return foreign(account, context) }
        guard found.status == "active" else {
            return account.fail(
                .privileges, "the account is \(found.status): nothing is sent\(context.place)",
                "Look at \(console), Billing (no funds?) and the mails from Twilio; what waits goes by itself once it is "
                    + "active again.")
        }
        guard found.type != "Trial" else {
            return account.warn(
                "active, on trial: it sends to verified numbers alone, and ends after 30 days\(context.place)",
                "Upgrade it at \(console), Billing; until then verify your own phone at Phone Numbers, Verified Caller IDs."
            )
        }
        return account.pass("active\(context.place)")
    }

    // MARK: Messages

    /// An unknown outcome is settled by Twilio's list: who may not read it sends the same code again only by guessing.
    static func messages(_ answer: TwilioReply, _ context: Context) -> Finding {
        guard case .response(200, let body) = answer else { return unwell(messages, answer, context) }
        guard (try? MessagePage(json: body.span)) != nil else { return foreign(messages, context) }
        return messages.pass("they can be listed, so the credentials are right\(context.place)")
    }

    // MARK: Senders

    /// What to ask Twilio about a sender.
    enum Lookup: Equatable, Sendable {
        case number(String)
        case shortCode(String)
        /// A name: Twilio has no list of them.
        case name(String)
        /// On a host of its own, messaging.twilio.com, which TWILIO_API_BASE_URL does not lead to.
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

        /// Where to look; nil where there is nothing to look at.
        func path(_ endpoint: Twilio.Endpoint) -> String? {
            switch self {
            case .number(let number): endpoint.incomingNumbers(number)
            case .shortCode(let code): endpoint.shortCodes(code)
            case .name, .service: nil
            }
        }

        /// As it may be shown: of a number, its beginning and its end.
        var words: String {
            switch self {
            case .number(let number): PhoneMask.mask(e164: number).replacing("•", with: "*")
            case .shortCode(let code): "the short code \(code)"
            case .name(let name): "the name \(SingleLine.quoted(name))"
            case .service: "a messaging service"
            }
        }
    }

    /// `countries` are those whose messages it sends, as far as they are known.
    static func sender(_ lookup: Lookup, _ answer: TwilioReply?, countries: [String], _ context: Context) -> Finding {
        let isSaudi = countries.contains("SA")
        let whose = countries.isEmpty ? "" : " for \(countries.joined(separator: ", "))"
        switch lookup {
        case .name:
            let saudi =
                isSaudi
                ? " Saudi Arabia delivers from a registered name alone: https://www.twilio.com/guidelines/sa/sms" : ""
            return sender.skip(
                "\(lookup.words)\(whose): Twilio can't be asked about names",
                "Look whether it is registered for each country: \(console), Messaging, Senders, Alphanumeric.\(saudi)")
        case .service:
            return sender.skip(
                "\(lookup.words)\(whose): that is asked on another host than TWILIO_API_BASE_URL leads to",
                "Look whether it has senders, and is of this account: \(console), Messaging, Services.")
        case .number, .shortCode: break
        }
        guard let answer else { return sender.skip("\(lookup.words)\(whose) was not looked up") }
        guard case .response(let status, let body) = answer else { return unwell(sender, answer, context) }
        if status == 401 || status == 403, context.usesKey {
            return sender.skip(
                "\(lookup.words)\(whose): this API key may not read phone numbers",
                "Look whether it can send SMS: \(console), Phone Numbers, Active numbers.")
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
                "the account does not have \(lookup.words)\(whose): Twilio refuses its messages (21606)",
                "Take one that it has: \(console), Phone Numbers, Active numbers; then TWILIO_PHONE_NUMBER, or "
                    + "otp.countries.sender.")
        }
        guard found.sendsSMS != false else {
            return sender.fail(
                .configuration, "\(lookup.words)\(whose) can't send SMS, it is for calls alone",
                "Take one with SMS among its capabilities: \(console), Phone Numbers, Active numbers.")
        }
        guard !isSaudi else {
            return sender.warn(
                "\(lookup.words)\(whose) can send SMS, but Saudi Arabia delivers from a registered name alone",
                "Register a name with Twilio, then in psql as a member of otp_admin: UPDATE otp.countries SET sender = "
                    + "'YourName' WHERE region = 'SA';")
        }
        return sender.pass("\(lookup.words)\(whose) can send SMS")
    }

    // MARK: What any of them may come to

    private static func unwell(_ check: Check, _ answer: TwilioReply, _ context: Context) -> Finding {
        switch answer {
        case .failure(let error): return unanswered(check, error)
        case .response(let status, let body):
            let error = ErrorBody(body.span)
            let code = error.map { ", error \($0.code)" } ?? ""
            let message = error.map { $0.message.isEmpty ? "" : ": \($0.message)" } ?? ""
            switch (status, error?.code) {
            case (_, 20008):
                return check.fail(
                    .privileges, "these are Twilio's test credentials: they send nothing (\(status)\(code))",
                    "Put the live account SID and auth token into otpd.env: \(console), Account, API keys & tokens.")
            case (_, 20005), (_, 10001):
                return check.fail(
                    .privileges, "the account is not active (\(status)\(code)): nothing is sent",
                    "Look at \(console), Billing (no funds?) and the mails from Twilio.")
            case (429, _):
                return check.warn(
                    "Twilio is busy with this account (429): it was not looked at", "Try again: otpd doctor")
            case (300..<500, nil): return foreign(check, context, status: status)
            case (401, _):
                let names =
                    context.usesKey
                    ? "TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET" : "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
                return check.fail(
                    .privileges,
                    "Twilio refuses the credentials (401\(code)): wrong, rotated, deleted, of another account or region, or "
                        + "the account is suspended\(context.place)",
                    "Copy \(names) again from \(console), Account, API keys & tokens; then systemctl reload otpd (a token "
                        + "in a file) or systemctl restart otpd.")
            case (403, _):
                return check.fail(
                    .privileges, "Twilio does not permit it (403\(code))\(message)",
                    "Give the API key the permission, or take a standard key: \(console), Account, API keys & tokens.")
            case (404, _):
                return check.fail(
                    .configuration, "there is no such account (404\(code))\(context.place)",
                    "Correct TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL in otpd.env.")
            case (500..., _):
                return check.fail(
                    .unreachable, "Twilio has trouble of its own (\(status)\(code))\(context.place)",
                    "See https://status.twilio.com; otpd tries again by itself.")
            default:
                return check.fail(
                    .configuration, "Twilio refuses it (\(status)\(code))\(message)",
                    "Look the code up: https://www.twilio.com/docs/api/errors")
            }
        }
    }

    /// No answer at all. The error has the host in it, and no more of the URL.
    private static func unanswered(_ check: Check, _ error: HTTPError) -> Finding {
        let origin = error.origin ?? "Twilio"
        let host = origin.split(separator: "/").last.map { $0.split(separator: ":").first.map(String.init) ?? "" } ?? ""
        switch error.reason {
        case .notSent(.nameLookupFailed):
            return check.fail(
                .unreachable, "the name \(host) can't be resolved", "Try: getent hosts \(host); see /etc/resolv.conf")
        case .notSent(.tlsFailed(let words)):
            return check.fail(
                .unreachable, "no trusted TLS with \(origin): \(words)",
                "Look at the certificate: openssl s_client -connect \(host):443 </dev/null. Behind a proxy that re-signs, "
                    + "name its certificate in OTPD_CA_FILE; check the clock: timedatectl.")
        case .notSent(.certificatesUnreadable):
            return check.fail(
                .configuration, "the trusted certificates can't be read",
                "apt-get install --reinstall ca-certificates, or correct OTPD_CA_FILE.")
        case .notSent(.connectTimedOut), .notSent(.timedOut), .unknown(.timedOut):
            return check.fail(
                .unreachable, "\(origin) does not answer in time",
                "Try: curl -sSo /dev/null -m 10 \(origin); then look at the firewall's rules for outgoing connections.")
        case .notSent(let why):
            return check.fail(
                .unreachable, "\(origin) can't be asked: \(why)", "Try: curl -sSo /dev/null -m 10 \(origin)")
        case .unknown(let why):
            return check.fail(
                .unreachable, "\(origin) can't be asked: \(why)", "Try: curl -sSo /dev/null -m 10 \(origin)")
        case .invalidURL, .insecureURL, .invalidHeader, .canceled, .setup:
            return check.fail(.configuration, "\(error)", "Correct TWILIO_API_BASE_URL in otpd.env.")
        }
    }

    private static func foreign(_ check: Check, _ context: Context, status: Int? = nil) -> Finding {
        check.fail(
            .configuration,
            "what answers at \(context.baseURL) is not Twilio\(status.map { " (HTTP status \($0))" } ?? "")",
            "Correct TWILIO_API_BASE_URL, or unset it; look whether a proxy answers: curl -sSi -m 10 \(context.baseURL)"
        )
    }
}
