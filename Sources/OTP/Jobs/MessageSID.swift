/// The identifier of a message or of a call at Twilio: `SM`, `MM` or, for a call, `CA`, and 32 hexadecimal digits. It
/// proves that Twilio has the message or the call.
///
/// A call is the message of a send job on the channel `call`, so one type serves both (``isCall``). An e-mail has an
/// identifier of otpd's own in the same form: `ML` and 32 digits made of its job (``isMail``).
/// Held inline, in the letter case that Twilio wrote, so that a SID costs no allocation on the way to the database.
public struct MessageSID: Sendable, Hashable {
    private let head: UInt128
    private let middle: UInt128
    private let tail: UInt16

    /// How many characters every SID has.
    public static let length = 34

    /// A SID from its characters. Nil if they match neither `^(SM|MM)[0-9a-fA-F]{32}$` nor `^CA[0-9a-fA-F]{32}$`
    /// (Twilio's API description), and are no identifier of an e-mail.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count == MessageSID.length else { return nil }
        switch (bytes[0], bytes[1]) {
        case (UInt8(ascii: "S"), UInt8(ascii: "M")), (UInt8(ascii: "M"), UInt8(ascii: "M")),
            (UInt8(ascii: "C"), UInt8(ascii: "A")), (UInt8(ascii: "M"), UInt8(ascii: "L")):
            break
        default:
            return nil
        }
        for index in 2..<MessageSID.length where !bytes[index].isHexadecimal { return nil }
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

    /// The identifier of the e-mail of a send job that was requested at this time, in microseconds since the Unix epoch.
    public init(mailOf job: Int64, requestedAt: Int64) {
        func digits(_ value: Int64) -> UInt128 {
            let digits = Array("0123456789abcdef".utf8)
            return stride(from: 60, through: 0, by: -4).reduce(0) {
                $0 << 8 | UInt128(digits[Int(truncatingIfNeeded: value >> Int64($1)) & 15])
            }
        }
        let (first, second) = (digits(job), digits(requestedAt))
        head = UInt128(UInt8(ascii: "M")) << 120 | UInt128(UInt8(ascii: "L")) << 112 | first >> 16
        middle = first << 112 | second >> 16
        tail = UInt16(truncatingIfNeeded: second)
    }

    /// Whether it identifies an e-mail.
    public var isMail: Bool { UInt16(truncatingIfNeeded: head >> 112) == 0x4D4C }

    /// Whether it identifies a call.
    public var isCall: Bool { UInt8(truncatingIfNeeded: head >> 120) == UInt8(ascii: "C") }

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
