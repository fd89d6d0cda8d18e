internal import OTP
internal import Twilio

/// What is needed to send through Twilio.
struct TwilioSettings: Equatable, Sendable {
    /// `AC…`: whose account sends and pays.
    let accountSID: String
    let login: Login
    /// Twilio signs callbacks with it alone, so it is kept even beside an API key.
    let authToken: Secret?
    /// Whom a message comes from.
    let sender: Sender
    let baseURL: WebAddress

    /// What requests are signed in with.
    enum Login: Equatable, Sendable {
        /// The account SID and its auth token.
        case authToken(Secret)
        /// An API key: preferred where both are set, since it can be revoked alone.
        case apiKey(sid: String, secret: Secret)
    }

    /// Who we are to Twilio, by these settings.
    func credentials() throws(SettingProblem) -> Credentials {
        switch login {
        case .authToken(let token): try Credentials(accountSID: accountSID, authToken: token)
        case .apiKey(let sid, let secret): try Credentials(accountSID: accountSID, keySID: sid, keySecret: secret)
        }
    }

    /// Twilio's API where `TWILIO_API_BASE_URL` is not set.
    static let defaultBaseURL = "https://api.twilio.com"

    /// The settings, or nil when something was reported; and whether an API key stands alone, without the auth token
    /// that callbacks are signed with.
    static func read(_ reader: inout SettingsReader) -> (settings: TwilioSettings?, hasKeyOnly: Bool) {
        let accountSID = readAccountSID(&reader)
        let (login, authToken, hasKeyOnly) = readLogin(&reader)
        let sender = readSender(&reader)
        let address = reader.find(.apiBaseURL)
        let text = address.isAbsent ? defaultBaseURL : address.value
        let baseURL = text.flatMap { reader.parse($0, .apiBaseURL, WebAddress.base) }
        guard let accountSID, let login, let sender, let baseURL else { return (nil, hasKeyOnly) }
        let settings = TwilioSettings(
            accountSID: accountSID, login: login, authToken: authToken, sender: sender, baseURL: baseURL)
        return (settings, hasKeyOnly)
    }

    /// The token alone, for whoever checks signatures and sends nothing.
    static func readAuthToken(_ reader: inout SettingsReader) -> Secret? {
        let token = reader.find(.authToken)
        if token.isAbsent { reader.missing(.authToken) }
        return token.value.flatMap { reader.parse($0, .authToken, credential) }
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
                        "is an API key's SID (SK…); put that into TWILIO_API_KEY_SID and the account's here")
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
        // Half a key is a slip, even where a token is set: which of the two is to be used?
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
            reader.report(.phoneNumber, "and TWILIO_MESSAGING_SERVICE_SID are both set; unset the one not to send from")
            return nil
        }
    }

    /// A phone number in E.164, a short code, or a name. `Sender` decides; this tells what may have been meant.
    private static func sender(_ text: String) throws(InvalidValue) -> Sender {
        do {
            return try Sender(from: text)
        } catch {
            if text.first == "+" {
                throw InvalidValue("is not a number in E.164; write + and 7 to 15 digits, without spaces or dashes")
            }
            guard text.utf8.contains(where: { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20) }) else {
                throw InvalidValue("has neither a + nor a letter; write a number as + with its country code")
            }
            if text.hasPrefix("MG") {
                throw InvalidValue("is a messaging service (MG…); put it into TWILIO_MESSAGING_SERVICE_SID")
            }
            throw InvalidValue(
                "is no alphanumeric sender; use 1 to 11 letters (A–Z), digits and spaces, or a number with +")
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
        InvalidValue("is not a SID of \(kind) and 32 hexadecimal digits; copy it \(source)")
    }

    /// A token or an API key's secret: visible ASCII without a space in it.
    private static func credential(_ text: String) throws(InvalidValue) -> Secret {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw InvalidValue("contains a space; copy it again from the Twilio Console")
        }
        return Secret(text)
    }
}
