public import OTP

/// The identity at Twilio: an account, and its auth token or one of its API keys.
public struct Credentials: Sendable {
    public let accountSID: String
    /// The value of the `Authorization` header. Sealed, because it is the credential in another encoding.
    public let authorization: Secret

    /// An account with its auth token.
    public init(accountSID: String, authToken: Secret) throws(SettingProblem) {
        try self.init(accountSID: accountSID, user: accountSID, password: authToken, setting: "TWILIO_AUTH_TOKEN")
    }

    /// An account with one of its API keys.
    public init(accountSID: String, keySID: String, keySecret: Secret) throws(SettingProblem) {
        guard keySID == keySID.trimmed else { throw .surroundingSpaces("TWILIO_API_KEY_SID") }
        guard Identifier.isValid(keySID, prefix: "SK") else { throw .notKeySID }
        try self.init(accountSID: accountSID, user: keySID, password: keySecret, setting: "TWILIO_API_KEY_SECRET")
    }

    private init(accountSID: String, user: String, password: Secret, setting: String) throws(SettingProblem) {
        guard accountSID == accountSID.trimmed else { throw .surroundingSpaces("TWILIO_ACCOUNT_SID") }
        guard Identifier.isValid(accountSID, prefix: "AC") else { throw .notAccountSID }
        guard !password.isEmpty else { throw .emptySecret(setting) }
        let hasSpaces = password.withBytes { bytes in
            bytes[0].isSpace || bytes[bytes.count - 1].isSpace
        }
        guard !hasSpaces else { throw .surroundingSpaces(setting) }
        self.accountSID = accountSID
        var pair = Array("\(user):".utf8)
        password.withBytes { bytes in
            for index in bytes.indices { pair.append(bytes[index]) }
        }
        var header = Array("Basic ".utf8)
        Base64.append(pair.span, to: &header)
        authorization = Secret(header.span)
    }
}

extension UInt8 {
    /// Space, tab or line end, such as copying and pasting leaves around a value.
    var isSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
}

extension String {
    /// Without the spaces around it.
    var trimmed: Substring {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
