/// Wall-clock time as microseconds since 1970. Every decision takes it as a parameter; only the connection reads the
/// clock.
typealias Microseconds = Int64

extension Array where Element == UInt8 {
    /// Appends text as UTF-8.
    mutating func append(text: String) {
        append(contentsOf: text.utf8)
    }

    /// Appends a whole number in decimal.
    mutating func append(number: some BinaryInteger) {
        append(contentsOf: String(number).utf8)
    }

    /// Appends 16 lower-case hexadecimal digits.
    mutating func append(hex value: UInt64) {
        for shift in stride(from: 60, through: 0, by: -4) {
            append(Hex.digits[Int((value >> UInt64(shift)) & 15)])
        }
    }
}

extension String {
    /// The bytes as UTF-8. Invalid bytes become U+FFFD.
    init(utf8 bytes: some Collection<UInt8>) {
        self.init(decoding: bytes, as: UTF8.self)
    }
}

/// Hexadecimal digits in both directions.
enum Hex {
    static let digits = [UInt8]("0123456789abcdef".utf8)
    static let upperDigits = [UInt8]("0123456789ABCDEF".utf8)

    /// The value of one hexadecimal digit of either case, or nil.
    @inline(__always)
    static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    /// 16 hexadecimal digits as a number, or nil.
    static func number(_ bytes: some Collection<UInt8>) -> UInt64? {
        guard bytes.count == 16 else { return nil }
        var number: UInt64 = 0
        for byte in bytes {
            guard let digit = value(byte) else { return nil }
            number = number << 4 | UInt64(digit)
        }
        return number
    }
}
