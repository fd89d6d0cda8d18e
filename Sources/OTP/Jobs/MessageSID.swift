/// The identifier of a message at Twilio: `SM` or `MM` and 32 hexadecimal digits. It proves that Twilio has the
/// message.
///
/// Held inline, in the letter case that Twilio wrote, so that a SID costs no allocation on the way to the database.
public struct MessageSID: Sendable, Hashable {
    private let head: UInt128
    private let middle: UInt128
    private let tail: UInt16

    /// How many characters every SID has.
    public static let length = 34

    /// A SID from its characters. Nil if they do not match `^(SM|MM)[0-9a-fA-F]{32}$` (Twilio's API description).
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count == MessageSID.length, bytes[1] == UInt8(ascii: "M"),
            bytes[0] == UInt8(ascii: "S") || bytes[0] == UInt8(ascii: "M")
        else { return nil }
        for index in 2..<MessageSID.length {
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"):
                continue
            default:
                return nil
            }
        }
        var head: UInt128 = 0
        var middle: UInt128 = 0
        for index in 0..<16 {
            head = head << 8 | UInt128(bytes[index])
            middle = middle << 8 | UInt128(bytes[index + 16])
        }
        self.head = head
        self.middle = middle
        tail = UInt16(bytes[32]) << 8 | UInt16(bytes[33])
    }

    public init?(_ text: String) {
        guard text.utf8.count == MessageSID.length else { return nil }
        self.init(text.utf8.span)
    }

    /// Appends the SID's 34 characters.
    public func append(to buffer: inout [UInt8]) {
        unsafe withUnsafeBytes(of: head.bigEndian) { unsafe buffer.append(contentsOf: $0) }
        unsafe withUnsafeBytes(of: middle.bigEndian) { unsafe buffer.append(contentsOf: $0) }
        unsafe withUnsafeBytes(of: tail.bigEndian) { unsafe buffer.append(contentsOf: $0) }
    }
}

extension MessageSID: CustomStringConvertible {
    public var description: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(MessageSID.length)
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
