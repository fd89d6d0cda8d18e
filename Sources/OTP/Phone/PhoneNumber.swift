internal import CPhoneNumber

/// A phone number that can receive a text message, in E.164: at most fifteen digits after a plus.
///
/// There is no such value without libphonenumber's consent: it is made by checking an E.164 number from the
/// database, or by parsing what somebody typed. It prints itself masked, everywhere; the whole number comes only from ``e164`` and
/// ``append(to:)``, whose callers answer for where it goes.
public struct PhoneNumber: Sendable, Hashable {
    /// The digits after the plus. No calling code begins with 0, so none is lost.
    let digits: UInt64
    /// What kind of number it is, as far as its digits tell.
    public let type: NumberType
    /// The region that the number belongs to; `001` when it belongs to none.
    public let region: Region

    /// The longest input that is looked at, in bytes. Anything longer is refused as too long, at no cost.
    public static let maximumInputLength = Int(OTPD_PHONE_MAX_INPUT)

    /// Parses what somebody typed: digits of any script, with spaces, dashes, brackets and direction marks.
    ///
    /// `region` is taken where the text carries no country of its own. About 25 µs.
    ///
    /// The daemon does not read typed numbers: `otp.parse_phone_number` does, in SQL, and the daemon checks what it wrote.
    /// This is the independent reading that tests hold against; it takes a little more white space than SQL does.
    public init(parsing text: String, region: Region) throws(Refusal) {
        // A native string knows its length: ten megabytes cost nothing here.
        guard text.utf8.count <= PhoneNumber.maximumInputLength else { throw .tooLong }
        try self.init(parsing: text.utf8.span, region: region)
    }

    /// Parses what somebody typed, as UTF-8.
    public init(parsing bytes: Span<UInt8>, region: Region) throws(Refusal) {
        let home = region.code
        var number = otpd_phone_number()
        let status = unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe home.withCString { home in
                unsafe otpd_phone_parse(bytes.baseAddress, bytes.count, home, &number)
            }
        }
        try self.init(status, number)
    }

    /// Checks a number that is E.164 already, as UTF-8: it can be refused here, never changed. About 0.1 µs, a refusal 6.
    public init(e164 bytes: Span<UInt8>) throws(Refusal) { try self.init(e164: bytes, askingLibraryAlone: false) }

    /// The same by libphonenumber's own code alone, for tests: the quick way reads its metadata itself.
    init(e164 bytes: Span<UInt8>, askingLibraryAlone: Bool) throws(Refusal) {
        var number = otpd_phone_number()
        let status = unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe otpd_phone_check_e164(bytes.baseAddress, bytes.count, askingLibraryAlone, &number)
        }
        try self.init(status, number)
    }

    /// Checks a number that is E.164 already.
    public init(e164 text: String) throws(Refusal) {
        guard text.utf8.count <= PhoneNumber.maximumInputLength else { throw .tooLong }
        try self.init(e164: text.utf8.span)
    }

    private init(_ status: otpd_phone_status, _ number: otpd_phone_number) throws(Refusal) {
        if let refusal = Refusal(status) { throw refusal }
        digits = number.digits
        type = NumberType(number.type)
        region = Region(number.region)
    }

    /// The whole number, such as `+966501234567`. Never for a log, an error or a view.
    public var e164: String { "+\(digits)" }

    /// Whether `bytes` are this number in E.164, letter by letter. No allocation.
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

    /// Appends the whole number as ASCII, plus sign included, without making a string.
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

extension PhoneNumber: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The number with its middle hidden, such as `+9665•••••567`.
    public var masked: String { PhoneMask.mask(e164: e164) }
    public var description: String { masked }
    public var debugDescription: String { masked }
    public var customMirror: Mirror { Mirror(self, children: ["masked": masked]) }
}
