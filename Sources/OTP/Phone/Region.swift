/// A region as libphonenumber has them: two letters of ISO 3166-1 such as `SA`, or `001` for numbers of no country.
public struct Region: Sendable, Hashable {
    private let first: UInt8
    private let second: UInt8
    private let third: UInt8

    /// `SA`: the default of `otp.settings`.
    public static let saudiArabia = Region(UInt8(ascii: "S"), UInt8(ascii: "A"), 0)
    /// `001`: numbers that belong to no country, such as satellite phones.
    public static let nonGeographical = Region(UInt8(ascii: "0"), UInt8(ascii: "0"), UInt8(ascii: "1"))

    /// A region from its two letters in either case, or `001`; nil for anything else.
    ///
    /// Whether libphonenumber knows the region is found out when a number is parsed in it.
    public init?(_ code: String) {
        if code == "001" {
            self = .nonGeographical
            return
        }
        let letters = code.utf8.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) ? $0 - 32 : $0 }
        guard letters.count == 2, letters.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }) else {
            return nil
        }
        self.init(letters[0], letters[1], 0)
    }

    /// A region from the zero-terminated bytes that CPhoneNumber writes.
    init(_ bytes: (CChar, CChar, CChar, CChar)) {
        self.init(UInt8(bitPattern: bytes.0), UInt8(bitPattern: bytes.1), UInt8(bitPattern: bytes.2))
    }

    private init(_ first: UInt8, _ second: UInt8, _ third: UInt8) {
        self.first = first
        self.second = second
        self.third = third
    }

    /// The region's name: `SA`.
    public var code: String {
        String(decoding: third == 0 ? [first, second] : [first, second, third], as: UTF8.self)
    }
}

extension Region: CustomStringConvertible {
    public var description: String { code }
}
