/// How fast this worker sends, and what it does after an unknown outcome.
struct SendingSettings: Equatable, Sendable {
    /// Requests to Twilio at a time.
    let maxInFlight: Int
    /// Sends per second of this worker. Nil for no limit.
    let ratePerSecond: Double?
    let resendUnknown: ResendUnknown

    enum ResendUnknown: String, CaseIterable, Sendable {
        /// otpd sends again after the grace and two lookups.
        case afterGrace = "after-grace"
        case never
    }

    static let maxInFlightRange = 1...10_000
    static let defaultMaxInFlight = 64

    static func read(_ reader: inout SettingsReader) -> SendingSettings {
        return SendingSettings(
            maxInFlight: reader.parse(.maxInFlight, maxInFlight) ?? defaultMaxInFlight,
            ratePerSecond: reader.parse(.ratePerSecond, rate),
            resendUnknown: reader.parse(.resendUnknown, Choice.parse) ?? .afterGrace)
    }

    private static func maxInFlight(_ text: String) throws(InvalidValue) -> Int {
        guard text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }), let value = Int(text),
            maxInFlightRange.contains(value)
        else { throw InvalidValue("is \(SingleLine.quoted(text)). Set a whole number from 1 to 10000.") }
        return value
    }

    private static func rate(_ text: String) throws(InvalidValue) -> Double {
        let plain = text.utf8.allSatisfy {
            $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") || $0 == UInt8(ascii: ".")
        }
        guard plain, let value = Double(text), value.isFinite, value > 0 else {
            throw InvalidValue(
                "is \(SingleLine.quoted(text)). Set a number above 0, such as 10 or 0.5, or unset it for no limit.")
        }
        return value
    }
}

/// A setting that is one of a few words.
enum Choice {
    static func parse<Value: RawRepresentable<String> & CaseIterable>(_ text: String) throws(InvalidValue) -> Value {
        guard let value = Value(rawValue: text) else {
            let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw InvalidValue("is \(SingleLine.quoted(text)). Set one of: \(words)")
        }
        return value
    }
}
