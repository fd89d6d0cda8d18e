/// How often the service must notify systemd's watchdog (sd_watchdog_enabled(3)).
struct Watchdog: Equatable, Sendable {
    /// The time after which systemd ends a service that sent no notification.
    let timeout: Duration

    /// The time between two notifications: half of the timeout, as systemd advises.
    var interval: Duration { timeout / 2 }

    /// Nil when `WATCHDOG_USEC` is not set, or `WATCHDOG_PID` names another process.
    static func read(environment: [String: String], processID: Int32) throws(WatchdogError) -> Watchdog? {
        guard let text = environment["WATCHDOG_USEC"], !text.isEmpty else { return nil }
        if let owner = environment["WATCHDOG_PID"], !owner.isEmpty {
            guard let owner = number(owner) else { throw WatchdogError(variable: "WATCHDOG_PID", value: owner) }
            guard owner == Int64(processID) else { return nil }
        }
        guard let microseconds = number(text) else { throw WatchdogError(variable: "WATCHDOG_USEC", value: text) }
        return Watchdog(timeout: .microseconds(microseconds))
    }

    private static func number(_ text: String) -> Int64? {
        guard text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return nil }
        return Int64(text).flatMap { $0 > 0 ? $0 : nil }
    }
}

/// A variable of the watchdog has no valid value.
struct WatchdogError: Error, Equatable, CustomStringConvertible {
    let variable: String
    let value: String

    var description: String {
        "\(variable) is \(SingleLine.quoted(value)), which is no positive number. "
            + "Set WatchdogSec= in the unit. If systemd does not start otpd, unset \(variable)"
    }
}
