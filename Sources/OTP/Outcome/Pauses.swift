/// One row of `otp.pauses`.
public struct Pause: Sendable, Hashable {
    public let scope: PauseScope
    /// Why.
    public let reason: String
    /// What to do about it.
    public let remedy: String?
    /// Whether probes end the pause by themselves. If not, an operator ends it.
    public let isProbed: Bool

    public init(_ scope: PauseScope, reason: String, remedy: String?, isProbed: Bool) {
        self.scope = scope
        self.reason = reason
        self.remedy = remedy
        self.isProbed = isProbed
    }

    /// What happened, for a job that waits. Never names the prefix: beside a masked number it would reveal most of the
    /// number.
    public var message: String {
        switch scope {
        case .all, .budget: "sending is paused (\(reason))"
        case .channel(let channel): "sending by \(channel.rawValue) is paused (\(reason))"
        case .country(let region): "sending to \(region.code) is paused (\(reason))"
        case .prefix: "sending to this range of numbers is paused (\(reason))"
        }
    }

    /// What to do: the row's remedy, or how to end a pause that an operator began. Never names the prefix either.
    public var endRemedy: String {
        if let remedy { return remedy }
        return switch scope {
        case .all: "Run otpd resume --all to send again."
        case .budget: "Raise otp.settings.daily_budget, or wait until the day ends."
        case .channel(let channel): "Run otpd resume --channel \(channel.rawValue) to send again."
        case .country(let region): "Run otpd resume --country \(region.code) to send again."
        case .prefix: "Run otpd resume with the --prefix that otpd pause lists."
        }
    }
}

/// The current pauses by scope. A check costs one hash per length of prefix, and nothing while there are no pauses.
public struct Pauses: Sendable {
    private var byName: [String: Pause] = [:]
    private var byChannel: [Channel: Pause] = [:]
    private var byCountry: [Region: Pause] = [:]
    private var byPrefix: [[UInt64: Pause]] = Array(repeating: [:], count: NumberPrefix.longest + 1)
    /// The pause of everything: an operator's, or that of the day's budget.
    public var all: Pause? { byName[PauseScope.all.name] ?? byName[PauseScope.budget.name] }

    public init(_ pauses: some Sequence<Pause> = []) { for pause in pauses { insert(pause) } }

    /// The names of all current pauses.
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
        case .channel(let channel): byChannel[channel] = pause
        case .country(let region): byCountry[region] = pause
        case .prefix(let prefix): byPrefix[prefix.count][prefix.digits] = pause
        }
    }

    /// The pause that holds a send by `channel` to a number of `country` (ISO 3166, as SQL stored it), the widest first. Leaves out the pause
    /// `probed`, whose probe the job is.
    public func pause(
        holding number: PhoneNumber, by channel: Channel = .sms, of country: String, butFor probed: String?
    ) -> Pause? {
        guard !byName.isEmpty else { return nil }
        func holds(_ pause: Pause?) -> Pause? { pause?.scope.name == probed ? nil : pause }
        if let pause = holds(all) ?? holds(byChannel[channel]) ?? holds(Region(country).flatMap { byCountry[$0] }) {
            return pause
        }
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
