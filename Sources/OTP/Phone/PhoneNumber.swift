/// A phone number in E.164: a plus and 7 to 15 digits, the first of them not 0.
///
/// SQL decides which numbers exist (`otp.parse_phone_number`), and the daemon sends the number that SQL stored. The
/// check here covers the form alone, so that a row written around the trigger never reaches Twilio. A number always
/// prints itself masked. Only ``e164`` and ``append(to:)`` give the whole number, and their callers are responsible for
/// where it goes.
public struct PhoneNumber: Sendable, Hashable {
    /// The digits after the plus. No calling code begins with 0, so an integer loses none of them.
    let digits: UInt64

    /// The most digits that E.164 allows, and the fewest of any number in use (those of Niue and Tokelau).
    static let digitCounts = 7...15

    /// Checks a number that is in E.164 form already, as UTF-8. It may be refused here, and is never changed.
    public init(e164 bytes: Span<UInt8>) throws(FormError) {
        guard Self.digitCounts.contains(bytes.count - 1), bytes[0] == UInt8(ascii: "+"), bytes[1] != UInt8(ascii: "0")
        else { throw .notE164 }
        var value: UInt64 = 0
        for index in 1..<bytes.count {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) else { throw .notE164 }
            value = value * 10 + UInt64(bytes[index] - UInt8(ascii: "0"))
        }
        digits = value
    }

    /// Checks a number that is in E.164 form already.
    public init(e164 text: String) throws(FormError) { try self.init(e164: text.utf8.span) }

    /// Why a number is refused. Never echoes the number.
    public enum FormError: Error, Sendable, Hashable {
        case notE164

        /// What is wrong with the number.
        public var explanation: String { "the stored phone number is not in E.164 form" }

        /// What to do about it.
        public var remedy: String {
            "Find the program that writes otp.verifications.e164 around its trigger. The column must be a plus and 7 "
                + "to 15 digits."
        }
    }

    /// The whole number, such as `+966501234567`. Never for a log, an error or a view.
    public var e164: String { "+\(digits)" }

    /// Whether `bytes` spell this number in E.164. Allocates nothing.
    public func isWritten(_ bytes: Span<UInt8>) -> Bool {
        guard (2...16).contains(bytes.count), bytes[0] == UInt8(ascii: "+"), bytes[1] != UInt8(ascii: "0") else {
            return false
        }
        var value: UInt64 = 0
        for index in 1..<bytes.count {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) else { return false }
            value = value * 10 + UInt64(bytes[index] - UInt8(ascii: "0"))
        }
        return value == digits
    }

    /// Appends the whole number as ASCII with its plus sign, without making a string.
    public func append(to buffer: inout [UInt8]) {
        buffer.append(UInt8(ascii: "+"))
        appendDigits(to: &buffer)
    }

    /// Appends the digits alone, without the plus sign.
    public func appendDigits(to buffer: inout [UInt8]) {
        var divisor: UInt64 = 1
        while digits / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digits / divisor % 10))
            divisor /= 10
        }
    }
}

extension PhoneNumber.FormError: CustomStringConvertible {
    public var description: String { "\(explanation). \(remedy)" }
}

extension PhoneNumber: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The number with its middle hidden, such as `+9665•••••567`.
    public var masked: String { PhoneMask.mask(e164: e164) }
    public var description: String { masked }
    public var debugDescription: String { masked }
    public var customMirror: Mirror { Mirror(self, children: ["masked": masked]) }
}
