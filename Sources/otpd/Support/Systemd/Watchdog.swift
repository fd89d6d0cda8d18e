/// How often systemd wants to hear that the service lives (sd_watchdog_enabled(3)).
struct Watchdog: Equatable, Sendable {
    /// The time after which systemd ends a silent service.
    let timeout: Duration

    /// When to speak: at half of it, as systemd advises.
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

/// The watchdog's variables make no sense.
struct WatchdogError: Error, Equatable, CustomStringConvertible {
    let variable: String
    let value: String

    var description: String {
        "\(variable) is \(SingleLine.quoted(value)), which is no positive number; "
            + "set WatchdogSec= in the unit, or unset it when otpd is not started by systemd"
    }
}
