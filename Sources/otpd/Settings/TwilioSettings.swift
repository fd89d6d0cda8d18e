internal import HTTP
internal import OTP
internal import Twilio

/// The settings that otpd needs to send through Twilio.
struct TwilioSettings: Equatable, Sendable {
    /// The account that sends and pays: `AC…`.
    let accountSID: String
    let login: Login
    /// The auth token. It is kept even beside an API key, because Twilio signs callbacks only with the token.
    let authToken: Secret?
    /// The sender of messages, unless a country has its own.
    let sender: Sender
    let baseURL: WebAddress
    /// The hosts that `baseURL` may name with plain http.
    let plainHTTP: PlainHTTP

    /// The credentials that requests carry.
    enum Login: Equatable, Sendable {
        /// The account SID and its auth token.
        case authToken(Secret)
        /// An API key. It wins where both are set, because it can be revoked on its own.
        case apiKey(sid: String, secret: Secret)
    }

    /// The credentials for requests to Twilio.
    func credentials() throws(SettingProblem) -> Credentials {
        switch login {
        case .authToken(let token): try Credentials(accountSID: accountSID, authToken: token)
        case .apiKey(let sid, let secret): try Credentials(accountSID: accountSID, keySID: sid, keySecret: secret)
        }
    }

    /// Twilio's API where `TWILIO_API_BASE_URL` is not set.
    static let defaultBaseURL = "https://api.twilio.com"

    /// Reads the settings. They are nil when a problem was reported. `hasKeyOnly` says whether an API key is set
    /// without the auth token that callbacks are signed with.
    static func read(_ reader: inout SettingsReader) -> (settings: TwilioSettings?, hasKeyOnly: Bool) {
        let accountSID = readAccountSID(&reader)
        let (login, authToken, hasKeyOnly) = readLogin(&reader)
        let sender = readSender(&reader)
        let address = reader.find(.apiBaseURL)
        let text = address.isAbsent ? defaultBaseURL : address.value
        let plainHTTP = readPlainHTTP(&reader)
        let baseURL = text.flatMap { text in
            reader.parse(text, .apiBaseURL) { (text: String) throws(InvalidValue) in
                try WebAddress.base(text, plainHTTP: plainHTTP)
            }
        }
        if plainHTTP != .toThisMachine, let baseURL { warn(of: baseURL, &reader) }
        guard let accountSID, let login, let sender, let baseURL else { return (nil, hasKeyOnly) }
        let settings = TwilioSettings(
            accountSID: accountSID, login: login, authToken: authToken, sender: sender, baseURL: baseURL,
            plainHTTP: plainHTTP)
        return (settings, hasKeyOnly)
    }

    /// Reads the auth token alone, for a receiver that checks signatures and sends nothing.
    static func readAuthToken(_ reader: inout SettingsReader) -> Secret? {
        let token = reader.find(.authToken)
        if token.isAbsent { reader.missing(.authToken) }
        return token.value.flatMap { reader.parse($0, .authToken, credential) }
    }

    private enum YesOrNo: String, CaseIterable { case no, yes }

    private static func readPlainHTTP(_ reader: inout SettingsReader) -> PlainHTTP {
        let answer: YesOrNo = reader.parse(.plainHTTP, Choice.parse) ?? .no
        return switch answer {
        case .no: .toThisMachine
        case .yes: .toAnyHostButTwilio
        }
    }

    /// Warns of `OTPD_PLAIN_HTTP_TO_TWILIO=yes`, whether it has an effect or only could have one.
    private static func warn(of baseURL: WebAddress, _ reader: inout SettingsReader) {
        reader.warn(
            baseURL.isReadableOnTheWay
                ? "OTPD_PLAIN_HTTP_TO_TWILIO is yes: codes and credentials go to \(baseURL) without encryption, and "
                    + "everyone on the way can read them. Use it only for a simulator in a private network of containers."
                : "OTPD_PLAIN_HTTP_TO_TWILIO is yes, but TWILIO_API_BASE_URL does not need it. Unset it.")
    }

    private static func readAccountSID(_ reader: inout SettingsReader) -> String? {
        switch reader.find(.accountSID) {
        case .absent:
            reader.missing(.accountSID)
            return nil
        case .broken: return nil
        case .value(let text):
            return reader.parse(text, .accountSID) { (text: String) throws(InvalidValue) in
                guard !text.hasPrefix("SK") else {
                    throw InvalidValue(
                        "is the SID of an API key (SK…). Move it to TWILIO_API_KEY_SID. Set the account's SID (AC…) here."
                    )
                }
                return try sid(text, "AC", "from the Twilio Console")
            }
        }
    }

    private static func readLogin(
        _ reader: inout SettingsReader
    ) -> (Login?, authToken: Secret?, hasKeyOnly: Bool) {
        let token = reader.find(.authToken)
        let keySID = reader.find(.apiKeySID)
        let keySecret = reader.find(.apiKeySecret)
        let authToken = token.value.flatMap { reader.parse($0, .authToken, credential) }
        let sid = keySID.value.flatMap { reader.parse($0, .apiKeySID, apiKeySID) }
        let secret = keySecret.value.flatMap { reader.parse($0, .apiKeySecret, credential) }
        switch (keySID.isAbsent, keySecret.isAbsent) {
        case (true, true):
            if token.isAbsent { reader.missing(.authToken) }
            return (authToken.map(Login.authToken), authToken, false)
        // Half of an API key is a mistake, even beside a token: the operator may mean either.
        case (true, false):
            reader.missing(.apiKeySID)
            return (nil, authToken, token.isAbsent)
        case (false, true):
            reader.missing(.apiKeySecret)
            return (nil, authToken, token.isAbsent)
        case (false, false):
            guard let sid, let secret else { return (nil, authToken, token.isAbsent) }
            return (.apiKey(sid: sid, secret: secret), authToken, token.isAbsent)
        }
    }

    private static func readSender(_ reader: inout SettingsReader) -> Sender? {
        let number = reader.find(.phoneNumber)
        let service = reader.find(.messagingServiceSID)
        let sender = number.value.flatMap { reader.parse($0, .phoneNumber, Self.sender) }
        let serviceSender = service.value.flatMap { reader.parse($0, .messagingServiceSID, Self.messagingService) }
        switch (number.isAbsent, service.isAbsent) {
        case (true, true):
            reader.missing(.phoneNumber)
            return nil
        case (false, true): return sender
        case (true, false): return serviceSender
        case (false, false):
            reader.report(
                .phoneNumber, "and TWILIO_MESSAGING_SERVICE_SID are both set. Unset the one that is not the sender.")
            return nil
        }
    }

    /// Parses a phone number in E.164 form, a short code, or a name. `Sender` decides, and this finds the likely
    /// mistake.
    private static func sender(_ text: String) throws(InvalidValue) -> Sender {
        do {
            return try Sender(from: text)
        } catch {
            if text.first == "+" {
                throw InvalidValue(
                    "is not a phone number in E.164 form. Write + and 7 to 15 digits, without spaces or dashes.")
            }
            guard text.utf8.contains(where: { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20) }) else {
                throw InvalidValue("has neither a + nor a letter. Write a phone number with + and its country code.")
            }
            if text.hasPrefix("MG") {
                throw InvalidValue("is a messaging service (MG…). Move it to TWILIO_MESSAGING_SERVICE_SID.")
            }
            throw InvalidValue(
                "is no alphanumeric sender. Use 1 to 11 letters (A–Z), digits and spaces, or a phone number with +.")
        }
    }

    private static func apiKeySID(_ text: String) throws(InvalidValue) -> String {
        try sid(text, "SK", "from the Twilio Console, API keys")
    }

    private static func messagingService(_ text: String) throws(InvalidValue) -> Sender {
        do {
            return try Sender(messagingService: text)
        } catch {
            throw notASID("MG", "from the Twilio Console, Messaging, Services")
        }
    }

    private static func sid(_ text: String, _ kind: String, _ source: String) throws(InvalidValue) -> String {
        guard Identifier.isValid(text, prefix: kind) else { throw notASID(kind, source) }
        return text
    }

    private static func notASID(_ kind: String, _ source: String) -> InvalidValue {
        InvalidValue("is not a SID of \(kind) and 32 hexadecimal digits. Copy it \(source).")
    }

    /// Parses a token or the secret of an API key: visible ASCII without spaces.
    private static func credential(_ text: String) throws(InvalidValue) -> Secret {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw InvalidValue("contains a space. Copy it again from the Twilio Console.")
        }
        return Secret(text)
    }
}
