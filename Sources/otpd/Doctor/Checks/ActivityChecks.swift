internal import OTP
internal import Queue

/// Checks whether workers are alive, and whether their sends succeed.
enum ActivityChecks {
    static let workers = Check("workers", "Workers")
    static let pauses = Check("pauses", "Pauses")
    static let accepted = Check("last-accepted", "Last accepted")
    static let limits = Check("limits", "Limits")
    static let all = [workers, pauses, limits, accepted]

    static func workers(_ activity: ReadActivity.Activity, version: String) -> Finding {
        guard activity.workersAlive > 0 else {
            let last =
                activity.lastHeartbeat.map { "The last heartbeat was \(Words.age($0)) ago." }
                ?? "No worker has ever run."
            let wait = activity.due > 0 ? " \(activity.due) jobs are due." : ""
            return workers.warn(
                "No worker is alive. \(last)\(wait)",
                "Start one: systemctl start otpd. If it ends again, its log says why: journalctl -u otpd -n 20")
        }
        let others = activity.versions.filter { $0 != version }
        guard others.isEmpty else {
            return workers.warn(
                "\(activity.workersAlive) alive, of version \(activity.versions.joined(separator: " and ")). "
                    + "This otpd has version \(version).",
                "Restart otpd on each machine that runs another version: systemctl restart otpd")
        }
        return workers.pass("\(activity.workersAlive) alive")
    }

    /// One finding for each pause.
    static func pauses(_ activity: ReadActivity.Activity) -> [Finding] {
        guard !activity.pauses.isEmpty else { return [pauses.pass("none")] }
        return activity.pauses.map { pause in
            let held = pause.held.map { " It holds \($0) jobs." } ?? ""
            let isWorkers = pause.scope.hasPrefix("worker ")
            let remedy =
                pause.remedy.map(Sentence.ended)
                ?? "End it when its cause is gone: otpd resume \(option(pause.scope))"
            return pauses.warn(
                "Paused: \(pause.scope). The reason: \(Sentence.ended(pause.reason))\(held)",
                isWorkers ? "\(remedy) Then let otpd probe at once: systemctl reload otpd" : remedy)
        }
    }

    /// One finding for each shared limit that is used up.
    static func limits(_ activity: ReadActivity.Activity) -> [Finding] {
        let requests = activity.refused == 1 ? "request" : "requests"
        let refused = "Limits refused \(activity.refused) \(requests) in the last hour."
        guard !activity.limits.isEmpty else { return [limits.pass("No shared limit is used up. \(refused)")] }
        return activity.limits.map { limit in
            limits.warn(
                "The limit \(limit.name) (\(limit.allowed) in \(limit.period)) is used up until \(limit.until). \(refused)",
                "Check whether real users request so many codes: SELECT * FROM otp.conversion_daily; "
                    + "If they do, raise the limit in otp.limits (scope \(limit.scope)).")
        }
    }

    /// The option of `otpd resume` for a scope: `country SA` → `--country SA`.
    private static func option(_ scope: String) -> String { "--\(scope)" }

    /// How long a job may be due, in seconds.
    static let timeout = 30.0

    static func accepted(_ activity: ReadActivity.Activity) -> Finding {
        let last = activity.lastAccepted.map { "Twilio accepted the last message \(Words.age($0)) ago." }
        if activity.due > 0, let oldest = activity.oldestDue, oldest > timeout {
            return accepted.warn(
                "\(last ?? "Twilio has accepted no message yet.") \(activity.due) jobs are due, the oldest for "
                    + "\(Words.age(oldest)).",
                "See why they wait: otpd status. Then read the log: journalctl -u otpd -n 50")
        }
        return accepted.pass("\(last ?? "Twilio has accepted no message yet.") No job is late.")
    }
}
