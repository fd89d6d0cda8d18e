/// The callbacks of a message and their times: every status but the first, with the configured disorder.
enum CallbackSchedule {
    struct Planned: Equatable {
        var status: MessageStatus
        var afterMilliseconds: Int
    }

    /// How often callbacks are lost, duplicated or reversed: shares from 0 to 1.
    struct Disorder: Equatable {
        var lost = 0.0
        var duplicated = 0.0
        var reversed = 0.0
    }

    static func plan(
        _ timeline: StatusTimeline, disorder: Disorder, using random: inout some RandomNumberGenerator
    ) -> [Planned] {
        let steps = timeline.steps.dropFirst()
        var statuses = steps.map(\.status)
        if chance(disorder.reversed, &random) { statuses.reverse() }
        var planned: [Planned] = []
        for (status, step) in zip(statuses, steps) where !chance(disorder.lost, &random) {
            let callback = Planned(status: status, afterMilliseconds: step.afterMilliseconds)
            planned.append(callback)
            if chance(disorder.duplicated, &random) { planned.append(callback) }
        }
        return planned
    }

    private static func chance(_ share: Double, _ random: inout some RandomNumberGenerator) -> Bool {
        share > 0 && Double.random(in: 0..<1, using: &random) < share
    }
}

/// A callback to be sent.
struct Callback: Equatable, Sendable {
    var url: CallbackURL
    var status: MessageStatus
    var messageSID: String
    var accountSID: String
    var to: String
    var from: String
    var serviceSID: String
    var errorCode: UInt32

    /// The form fields that Twilio sends with a status callback.
    var parameters: [(name: String, value: String)] {
        var parameters = [
            (name: "SmsSid", value: messageSID), (name: "SmsStatus", value: status.rawValue),
            (name: "MessageStatus", value: status.rawValue), (name: "To", value: to),
            (name: "MessageSid", value: messageSID), (name: "AccountSid", value: accountSID),
            (name: "From", value: from), (name: "ApiVersion", value: "2010-04-01"),
        ]
        if !serviceSID.isEmpty { parameters.append((name: "MessagingServiceSid", value: serviceSID)) }
        if status == .undelivered || status == .failed {
            parameters.append((name: "ErrorCode", value: String(errorCode)))
        }
        return parameters
    }
}

/// An `http` URL for callbacks. TLS is not supported here.
struct CallbackURL: Equatable, Sendable {
    /// The URL as given, which the signature covers.
    let text: String
    let host: String
    let port: Int
    /// Path and query.
    let target: String

    init?(_ text: String) {
        guard text.hasPrefix("http://"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let rest = text.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest.dropFirst(authority.count).prefix { $0 != "#" }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty, parts.count <= 2 else { return nil }
        if parts.count == 2 {
            guard let port = Int(parts[1]), (1...65535).contains(port) else { return nil }
            self.port = port
        } else {
            port = 80
        }
        self.text = text
        self.host = String(host)
        target = path.hasPrefix("/") ? String(path) : "/" + path
    }
}

/// A callback and when it is due, counted from the request that caused it.
struct ScheduledCallback: Equatable, Sendable {
    var callback: Callback
    var afterMilliseconds: Int
}
