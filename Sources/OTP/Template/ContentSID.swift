/// A content template at Twilio: `HX` and 32 hexadecimal digits (its OpenAPI: `^HX[0-9a-fA-F]{32}$`).
///
/// WhatsApp takes a code only in a template that it has approved. Such a template has a single variable, `{{1}}`: the
/// code.
public struct ContentSID: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    /// From the column `content_sid`; nil for anything else than a content SID.
    public init?(_ text: String) {
        guard text.utf8.count == 34, text.hasPrefix("HX"), text.utf8.dropFirst(2).allSatisfy(\.isHexadecimal) else {
            return nil
        }
        description = text
    }
}

extension UInt8 {
    /// `0-9 a-f A-F`.
    var isHexadecimal: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default:
            false
        }
    }
}
