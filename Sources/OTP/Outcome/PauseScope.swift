/// What a shared pause applies to: a row's scope and key in `otp.pauses`.
public enum PauseScope: Sendable, Hashable {
    /// Everything.
    case all
    /// Everything, until the day's budget is raised or the day ends.
    case budget
    /// Everything that goes by this channel.
    case channel(Channel)
    /// The numbers of a country.
    case country(Region)
    /// The numbers that begin with this prefix.
    case prefix(NumberPrefix)

    /// From a row, or from an operator's argument; nil for a pair that the table would refuse.
    public init?(scope: String, key: String) {
        switch scope {
        case "all" where key.isEmpty: self = .all
        case "budget" where key.isEmpty: self = .budget
        case "channel":
            guard let channel = Channel(rawValue: key) else { return nil }
            self = .channel(channel)
        case "country":
            guard let region = Region(key), region.code == key else { return nil }
            self = .country(region)
        case "prefix":
            guard let prefix = NumberPrefix(key) else { return nil }
            self = .prefix(prefix)
        default: return nil
        }
    }

    /// `all`, `budget`, `channel`, `country` or `prefix`.
    public var scope: String {
        switch self {
        case .all: "all"
        case .budget: "budget"
        case .channel: "channel"
        case .country: "country"
        case .prefix: "prefix"
        }
    }

    /// `call`, `SA`, `+96650`; empty for everything.
    public var key: String {
        switch self {
        case .all, .budget: ""
        case .channel(let channel): channel.rawValue
        case .country(let region): region.code
        case .prefix(let prefix): prefix.description
        }
    }

    /// The pause's name in logs, commands and `otp.pauses.name`: `all`, `channel call`, `country SA`, `prefix +96650`.
    public var name: String { key.isEmpty ? scope : "\(scope) \(key)" }
}

/// The first digits of phone numbers, country code included: `+96650`.
public struct NumberPrefix: Sendable, Hashable, CustomStringConvertible {
    let digits: UInt64
    let count: Int

    /// The longest prefix. Even of the longest number it leaves four digits out, so that no log holds a whole number.
    public static let longest = 11
    /// How many last digits a hold leaves open when Twilio suspects fraud behind a number. Fraudsters buy blocks of ten
    /// thousand numbers. In Saudi Arabia the prefix is then the country code and five digits.
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

    /// The block of ten thousand numbers that a number is in.
    public init(blockOf number: PhoneNumber) {
        var rest = number.digits
        for _ in 0..<Self.openDigits { rest /= 10 }
        digits = max(rest, 1)
        count = "\(digits)".utf8.count
    }

    public var description: String { "+\(digits)" }
}
