internal import Queue

/// Whether anybody works, and gets through.
enum ActivityChecks {
    static let workers = Check("workers", "Workers")
    static let pauses = Check("pauses", "Pauses")
    static let accepted = Check("last-accepted", "Last accepted")
    static let limits = Check("limits", "Limits")
    static let all = [workers, pauses, limits, accepted]

    static func workers(_ activity: ReadActivity.Activity, version: String) -> Finding {
        guard activity.workersAlive > 0 else {
            let last =
                activity.lastHeartbeat.map { "the last heartbeat was \(Words.age($0)) ago" } ?? "none has ever run"
            let wait = activity.due > 0 ? "; \(activity.due) jobs wait" : ""
            return workers.warn(
                "none is alive (\(last))\(wait)", "systemctl start otpd; if it does not stay: journalctl -u otpd -n 20")
        }
        let others = activity.versions.filter { $0 != version }
        guard others.isEmpty else {
            return workers.warn(
                "\(activity.workersAlive) alive, of version \(activity.versions.joined(separator: " and ")); this otpd is "
                    + version,
                "systemctl restart otpd, on each machine where the old one runs")
        }
        return workers.pass("\(activity.workersAlive) alive")
    }

    /// A line for each.
    static func pauses(_ activity: ReadActivity.Activity) -> [Finding] {
        guard !activity.pauses.isEmpty else { return [pauses.pass("none")] }
        return activity.pauses.map { pause in
            let held = pause.held.map { "; \($0) jobs wait for it" } ?? ""
            let isWorkers = pause.scope.hasPrefix("worker ")
            let remedy = pause.remedy ?? "When its cause has gone: otpd resume \(option(pause.scope))"
            return pauses.warn(
                "\(pause.scope): \(pause.reason)\(held)",
                isWorkers ? "\(remedy) Then: systemctl reload otpd, which probes at once." : remedy)
        }
    }

    /// A line for each shared limit that is used up.
    static func limits(_ activity: ReadActivity.Activity) -> [Finding] {
        let refused = "\(activity.refused) requests were refused in the last hour"
        guard !activity.limits.isEmpty else { return [limits.pass("no shared limit is used up; \(refused)")] }
        return activity.limits.map { limit in
            limits.warn(
                "the limit \(limit.name) (\(limit.allowed) in \(limit.period)) is used up until \(limit.until); \(refused)",
                "See whether real users ask for so many codes (SELECT * FROM otp.conversion_daily); if they do, raise the "
                    + "limit in otp.limits (scope \(limit.scope)).")
        }
    }

    /// `country SA` → `--country SA`.
    private static func option(_ scope: String) -> String { "--\(scope)" }

    /// Jobs that are due for longer than this while nothing is accepted are not served.
    static let timeout = 30.0

    static func accepted(_ activity: ReadActivity.Activity) -> Finding {
        let last = activity.lastAccepted.map { "\(Words.age($0)) ago" } ?? "never"
        if activity.due > 0, let oldest = activity.oldestDue, oldest > timeout {
            return accepted.warn(
                "\(last), and \(activity.due) jobs are due, the oldest for \(Words.age(oldest))",
                "See what they wait for: otpd status, then journalctl -u otpd -n 50")
        }
        return accepted.pass("\(last); nothing that is due waits")
    }
}
