/// A region as in the table of phone numbers: two letters of ISO 3166-1 such as `SA`, or `001` for numbers of no
/// country.
public struct Region: Sendable, Hashable {
    private let first: UInt8
    private let second: UInt8
    private let third: UInt8

    /// `001`: numbers that belong to no country, such as satellite phones.
    public static let nonGeographical = Region(UInt8(ascii: "0"), UInt8(ascii: "0"), UInt8(ascii: "1"))

    /// A region from its two letters in either case, or `001`; nil for anything else.
    ///
    /// SQL decides whether the region exists.
    public init?(_ code: String) {
        if code == "001" {
            self = .nonGeographical
            return
        }
        // No array is made here, because this runs for every send that a pause may hold.
        var letters = code.utf8.makeIterator()
        guard let first = letters.next().flatMap(Self.capital), let second = letters.next().flatMap(Self.capital),
            letters.next() == nil
        else { return nil }
        self.init(first, second, 0)
    }

    private static func capital(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): letter
        case UInt8(ascii: "a")...UInt8(ascii: "z"): letter - 32
        default: nil
        }
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
