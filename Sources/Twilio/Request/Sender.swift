/// Whom a message comes from.
public enum Sender: Sendable, Hashable {
    /// A number in E.164, a short code, or a name of letters and digits.
    case from(String)
    /// A messaging service, by its SID.
    case messagingService(String)

    /// Reads `TWILIO_PHONE_NUMBER`: a number of ours, a short code, or an alphanumeric sender of at most 11 characters.
    public init(from text: String) throws(SettingProblem) {
        guard text == text.trimmed else { throw .surroundingSpaces("TWILIO_PHONE_NUMBER") }
        let isDigits = { (text: Substring) in !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        let isNumber = text.hasPrefix("+") && text.utf8.count <= 16 && isDigits(text.dropFirst())
        let isShortCode = text.utf8.count <= 8 && isDigits(text[...])
        let isName =
            (1...11).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: " "), UInt8(ascii: "+"), UInt8(ascii: "-"),
                    UInt8(ascii: "_"), UInt8(ascii: "&"):
                    true
                default:
                    false
                }
            }
            && !isDigits(text[...]) && !text.hasPrefix("+")
        guard isNumber || isShortCode || isName else { throw .notASender }
        self = .from(text)
    }

    /// Reads `TWILIO_MESSAGING_SERVICE_SID`.
    public init(messagingService sid: String) throws(SettingProblem) {
        guard sid == sid.trimmed else { throw .surroundingSpaces("TWILIO_MESSAGING_SERVICE_SID") }
        guard Identifier.isValid(sid, prefix: "MG") else { throw .notASender }
        self = .messagingService(sid)
    }
}
