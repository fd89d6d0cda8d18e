/// Twilio's identifiers: two letters for the kind of thing, and 32 hexadecimal digits (its OpenAPI:
/// `^AC[0-9a-fA-F]{32}$`).
public enum Identifier {
    /// Whether `text` is an identifier that begins with `prefix`.
    public static func isValid(_ text: String, prefix: String) -> Bool {
        text.utf8.count == 34 && text.hasPrefix(prefix)
            && text.utf8.dropFirst(2).allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"):
                    true
                default:
                    false
                }
            }
    }
}

/// Why a setting for Twilio cannot be used. Names the setting, never its value.
public enum SettingProblem: Error, Sendable, Hashable, CustomStringConvertible {
    case notAccountSID
    case notKeySID
    case emptySecret(String)
    case surroundingSpaces(String)
    case notASender
    case notAWhatsAppSender(String)
    case notACaller(String)

    public var description: String {
        switch self {
        case .notAccountSID:
            "TWILIO_ACCOUNT_SID is not an account SID. Copy it from the Twilio console: AC and 32 hexadecimal digits."
        case .notKeySID:
            "TWILIO_API_KEY_SID is not an API key SID. Copy it from the Twilio console: SK and 32 hexadecimal digits."
        case .emptySecret(let name): "\(name) is empty. Copy it from the Twilio console."
        case .surroundingSpaces(let name): "\(name) has spaces around it. Remove them."
        case .notASender:
            """
            the sender is neither a phone number in E.164, a short code, a name of up to 11 letters, digits and spaces \
            nor a messaging service SID (MG and 32 hexadecimal digits). Correct TWILIO_PHONE_NUMBER or \
            TWILIO_MESSAGING_SERVICE_SID.
            """
        case .notAWhatsAppSender(let name):
            """
            \(name) is neither a phone number in E.164 nor a messaging service SID (MG and 32 hexadecimal digits). Short \
            codes and names cannot send by WhatsApp. Set it to the WhatsApp sender that the Twilio console shows.
            """
        case .notACaller(let name):
            """
            \(name) is not a phone number in E.164. Short codes, names and messaging services cannot call. Set it to a \
            number that can make calls, as +<country><number>.
            """
        }
    }
}
