/// The sender of a message.
public enum Sender: Sendable, Hashable {
    /// A number in E.164, a short code, or a name.
    case from(String)
    /// A messaging service, by its SID.
    case messagingService(String)

    /// Reads `TWILIO_PHONE_NUMBER`: a number in E.164 (7 to 15 digits), a short code (3 to 8), or a name of 1 to 11 letters
    /// (A–Z), digits and spaces with a letter among them.
    ///
    /// Twilio also takes `+ - _ &` in names. They are refused here because some carriers do not accept them.
    public init(from text: String) throws(SettingProblem) {
        guard text == text.trimmed else { throw .surroundingSpaces("TWILIO_PHONE_NUMBER") }
        let bytes = text.utf8
        let isSender =
            if bytes.first == UInt8(ascii: "+") {
                (8...16).contains(bytes.count) && bytes.dropFirst().allSatisfy(\.isDigit)
                    && bytes.dropFirst().first != UInt8(ascii: "0")
            } else if bytes.allSatisfy(\.isDigit) {
                (3...8).contains(bytes.count)
            } else {
                bytes.count <= 11 && bytes.contains(where: \.isLetter)
                    && bytes.allSatisfy { $0.isLetter || $0.isDigit || $0 == UInt8(ascii: " ") }
            }
        guard isSender else { throw .notASender }
        self = .from(text)
    }

    /// Reads `TWILIO_MESSAGING_SERVICE_SID`.
    public init(messagingService sid: String) throws(SettingProblem) {
        guard sid == sid.trimmed else { throw .surroundingSpaces("TWILIO_MESSAGING_SERVICE_SID") }
        guard Identifier.isValid(sid, prefix: "MG") else { throw .notASender }
        self = .messagingService(sid)
    }

    /// Reads `otp.countries.sender`: a messaging service's SID, or anything that `init(from:)` takes.
    public init(country text: String) throws(SettingProblem) {
        if Identifier.isValid(text, prefix: "MG") {
            self = .messagingService(text)
        } else {
            try self.init(from: text)
        }
    }

    /// The number, the name or the service's SID.
    public var text: String {
        switch self {
        case .from(let text), .messagingService(let text): text
        }
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    fileprivate var isLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) }
}
