/// One row of `otp.pauses`.
public struct Pause: Sendable, Hashable {
    public let scope: PauseScope
    /// Why.
    public let reason: String
    /// What to do about it.
    public let remedy: String?
    /// Whether it is probed and ends by itself; by hand otherwise.
    public let isProbed: Bool

    public init(_ scope: PauseScope, reason: String, remedy: String?, isProbed: Bool) {
        self.scope = scope
        self.reason = reason
        self.remedy = remedy
        self.isProbed = isProbed
    }

    /// What happened, for somebody whose code waits. Never the prefix: beside a masked number it would give most of it away.
    public var message: String {
        switch scope {
        case .all, .budget: "sending is paused (\(reason))"
        case .country(let region): "sending to \(region.code) is paused (\(reason))"
        case .prefix: "sending to this range of numbers is paused (\(reason))"
        }
    }

    /// What to do: the row's remedy, or how to end what was begun by hand. Never the prefix either.
    public var endRemedy: String {
        if let remedy { return remedy }
        return switch scope {
        case .all: "When it may go on: otpd resume --all"
        case .budget: "Raise otp.settings.daily_budget, or wait until the day is over."
        case .country(let region): "When it may go on: otpd resume --country \(region.code)"
        case .prefix: "When it may go on: otpd resume, with the --prefix that otpd pause lists"
        }
    }
}

/// The pauses there are, by what they hold: a look costs a hash per length of prefix, and nothing while there are none.
public struct Pauses: Sendable {
    private var byName: [String: Pause] = [:]
    private var byCountry: [Region: Pause] = [:]
    private var byPrefix: [[UInt64: Pause]] = Array(repeating: [:], count: NumberPrefix.longest + 1)
    /// That of everything: by hand, or for the day's budget.
    public var all: Pause? { byName[PauseScope.all.name] ?? byName[PauseScope.budget.name] }

    public init(_ pauses: some Sequence<Pause> = []) { for pause in pauses { insert(pause) } }

    /// The names of them all.
    public var names: Set<String> { Set(byName.keys) }

    public subscript(name: String) -> Pause? { byName[name] }

    public mutating func insert(_ pause: Pause) {
        byName[pause.scope.name] = pause
        set(pause.scope, pause)
    }

    public mutating func remove(_ name: String) {
        if let pause = byName.removeValue(forKey: name) { set(pause.scope, nil) }
    }

    private mutating func set(_ scope: PauseScope, _ pause: Pause?) {
        switch scope {
        case .all, .budget: break
        case .country(let region): byCountry[region] = pause
        case .prefix(let prefix): byPrefix[prefix.count][prefix.digits] = pause
        }
    }

    /// The pause that holds a number of `country` (ISO 3166, as SQL stored it) back, the widest first; not the one whose
    /// probe it is.
    public func pause(holding number: PhoneNumber, of country: String, butFor probed: String?) -> Pause? {
        guard !byName.isEmpty else { return nil }
        func holds(_ pause: Pause?) -> Pause? { pause?.scope.name == probed ? nil : pause }
        if let pause = holds(all) ?? holds(Region(country).flatMap { byCountry[$0] }) { return pause }
        var (digits, count) = (number.digits, "\(number.digits)".utf8.count)
        while count > NumberPrefix.longest { (digits, count) = (digits / 10, count - 1) }
        var widest: Pause?
        while count > 0 {
            if let pause = holds(byPrefix[count][digits]) { widest = pause }
            (digits, count) = (digits / 10, count - 1)
        }
        return widest
    }
}
