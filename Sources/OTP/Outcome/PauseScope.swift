/// What a pause that all workers share holds back: a row's scope and key in `otp.pauses`.
public enum PauseScope: Sendable, Hashable {
    /// Everything.
    case all
    /// Everything, until the day's budget is another or the day is over.
    case budget
    /// The numbers of a country.
    case country(Region)
    /// The numbers that begin so.
    case prefix(NumberPrefix)

    /// From a row, or from what an operator gave; nil for what the table would refuse.
    public init?(scope: String, key: String) {
        switch scope {
        case "all" where key.isEmpty: self = .all
        case "budget" where key.isEmpty: self = .budget
        case "country":
            guard let region = Region(key), region.code == key else { return nil }
            self = .country(region)
        case "prefix":
            guard let prefix = NumberPrefix(key) else { return nil }
            self = .prefix(prefix)
        default: return nil
        }
    }

    /// `all`, `budget`, `country` or `prefix`.
    public var scope: String {
        switch self {
        case .all: "all"
        case .budget: "budget"
        case .country: "country"
        case .prefix: "prefix"
        }
    }

    /// `SA`, `+96650`; empty for everything.
    public var key: String {
        switch self {
        case .all, .budget: ""
        case .country(let region): region.code
        case .prefix(let prefix): prefix.description
        }
    }

    /// What names the pause everywhere, as `otp.pauses.name` does: `all`, `country SA`, `prefix +96650`.
    public var name: String { key.isEmpty ? scope : "\(scope) \(key)" }
}

/// The first digits of phone numbers, country code included: `+96650`.
public struct NumberPrefix: Sendable, Hashable, CustomStringConvertible {
    let digits: UInt64
    let count: Int

    /// The longest there is: even of the longest number four digits stay open, so that none stands in a log whole.
    public static let longest = 11
    /// How many last digits a hold leaves open when Twilio suspects fraud behind a number. Who pumps buys blocks of ten
    /// thousand; in Saudi Arabia that is the country code and five digits.
    static let openDigits = 4

    /// From `+` and 1 to 11 digits, the first of them not 0; nil for anything else.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard (2...Self.longest + 1).contains(bytes.count), bytes[0] == UInt8(ascii: "+"), bytes[1] != UInt8(ascii: "0")
        else { return nil }
        var value: UInt64 = 0
        for byte in bytes.dropFirst() {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
        }
        digits = value
        count = bytes.count - 1
    }

    /// The block of ten thousand that a number is in.
    public init(blockOf number: PhoneNumber) {
        var rest = number.digits
        for _ in 0..<Self.openDigits { rest /= 10 }
        digits = max(rest, 1)
        count = "\(digits)".utf8.count
    }

    public var description: String { "+\(digits)" }
}
