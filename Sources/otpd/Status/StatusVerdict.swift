internal import OTP

/// The summary of the status: whether otpd works, and if not, since when, why, and what to do.
struct StatusVerdict: Equatable, Sendable {
    enum Level: Sendable { case good, warning, bad }

    let level: Level
    /// One or two short sentences.
    let headline: String
    /// Why, and since when.
    var detail: String?
    /// What to do.
    var remedy: String?
    /// Whether `otpd status --check` exits with 69.
    let failsCheck: Bool

    /// How long a job may be due, with a worker alive and nothing paused, before the queue counts as stuck.
    static let stuckAfter = 60.0

    /// The summary of a snapshot. If several things are wrong, it names the worst one. The view shows the others below.
    static func of(_ snapshot: StatusSnapshot) -> StatusVerdict {
        let queue = snapshot.queue
        if queue.workersAlive == 0 { return noWorker(snapshot) }
        if let pause = snapshot.pauses.first(where: \.isOfEverything)
            ?? snapshot.pauses.first(where: \.isOfWorker) ?? snapshot.pauses.first
        {
            return paused(pause, snapshot)
        }
        if queue.oldestDueSeconds >= stuckAfter {
            return StatusVerdict(
                level: .bad, headline: "Behind: a job has been due for \(StatusWords.span(queue.oldestDueSeconds)).",
                detail:
                    "\(StatusWords.count(queue.due, "job")) \(queue.due == 1 ? "is" : "are") due, and otpd sent "
                    + "\(StatusWords.number(queue.accepted.0)) in the last minute. Codes that wait too long expire.",
                remedy:
                    "Look for errors in the workers' log: journalctl -u otpd. If the workers are only slow, start another "
                    + "one, or raise OTPD_MAX_IN_FLIGHT or OTPD_RATE_PER_SECOND.",
                failsCheck: true)
        }
        let ended = queue.accepted.1 + queue.failed.1
        if ended >= 10, let share = queue.successShare, share < 0.9 {
            let last = snapshot.failures.first
            return StatusVerdict(
                level: share < 0.5 ? .bad : .warning,
                headline: "\(StatusWords.percent(1 - share)) of the sends of the last 5 minutes failed.",
                detail: last?.error.map { "The last failure: \($0)" }, remedy: last?.remedy, failsCheck: false)
        }
        if let limit = snapshot.limits.first(where: { $0.usedUpUntil != nil }) {
            let others = snapshot.limits.count { $0.usedUpUntil != nil } - 1
            return StatusVerdict(
                level: .warning, headline: StatusWords.usedUp(limit),
                detail: "Requests that it counts are refused with OT001."
                    + (others > 0
                        ? " \(StatusWords.count(others, "more limit")) \(others == 1 ? "is" : "are") used up, see below."
                        : ""),
                remedy: StatusWords.limitRemedy(limit), failsCheck: false)
        }
        if let hold = snapshot.holds.first(where: \.isEnforced) {
            let others = snapshot.holds.count(where: \.isEnforced) - 1
            return StatusVerdict(
                level: .warning, headline: "Requests are held back: \(hold.name).",
                detail: hold.explanation
                    + (others > 0
                        ? " \(StatusWords.count(others, "more hold")) \(others == 1 ? "is" : "are") in force, see below."
                        : ""),
                remedy: hold.remedy, failsCheck: false)
        }
        let dead = snapshot.workers.filter { $0.isDead && $0.sends }
        if let last = dead.map(\.heartbeatSeconds).min(), last < 600 {
            return StatusVerdict(
                level: .warning,
                headline: dead.count == 1
                    ? "Working, but worker \(dead[0].id) is dead." : "Working, but \(dead.count) workers are dead.",
                detail: "The last heartbeat was \(StatusWords.span(last)) ago.",
                remedy: "systemd starts it again. Its log says why it ended: journalctl -u otpd",
                failsCheck: false)
        }
        if let route = snapshot.routeProblems.first {
            let others = snapshot.routeProblems.count - 1
            return StatusVerdict(
                level: .warning, headline: "Working, but \(route.name) (\(route.channel)) cannot be used.",
                detail: route.problem
                    + (others > 0
                        ? " \(StatusWords.count(others, "more step")) cannot be used, see otp.route_status." : ""),
                failsCheck: false)
        }
        if queue.unknown > 0 {
            return StatusVerdict(
                level: .warning,
                headline: "Working, but the outcome of \(StatusWords.count(queue.unknown, "send")) is unknown.",
                detail: "Workers look for the messages in Twilio's list. This takes about a minute.", failsCheck: false)
        }
        if queue.accepted.0 == 0, let send = snapshot.sends.first(where: { $0.state == "queued" && $0.error != nil }) {
            return StatusVerdict(
                level: .warning,
                headline: "No send succeeded in the last minute. \(StatusWords.count(queue.queued, "job")) "
                    + "\(queue.queued == 1 ? "waits" : "wait").",
                detail: "Job \(send.id): \(send.error ?? "")", remedy: send.remedy, failsCheck: false)
        }
        let headline =
            queue.accepted.0 > 0
            ? "Working: \(StatusWords.number(queue.accepted.0)) sent in the last minute."
            : queue.due + queue.sending > 0
                ? "Working."
                : "Working. There is nothing to send"
                    + (queue.accepted.2 == 0 ? ", and there was nothing in the last hour." : ".")
        return StatusVerdict(level: .good, headline: headline, failsCheck: false)
    }

    private static func noWorker(_ snapshot: StatusSnapshot) -> StatusVerdict {
        let last = snapshot.workers.filter(\.sends).min { $0.heartbeatSeconds < $1.heartbeatSeconds }
        let since = last.map { worker in
            worker.isStopped
                ? "Worker \(worker.id) was stopped \(StatusWords.span(worker.heartbeatSeconds)) ago."
                : "The last heartbeat, of worker \(worker.id), was \(StatusWords.span(worker.heartbeatSeconds)) ago."
        }
        let due = snapshot.queue.due
        return StatusVerdict(
            level: .bad, headline: "No worker is alive. Nothing is sent.",
            detail: "\(since ?? "There was no heartbeat in the last hour.") \(StatusWords.count(due, "job")) "
                + "\(due == 1 ? "is" : "are") due.",
            remedy: "Start one: systemctl start otpd. If it ends again, its log says why: journalctl -u otpd",
            failsCheck: true)
    }

    private static func paused(_ pause: StatusSnapshot.Pause, _ snapshot: StatusSnapshot) -> StatusVerdict {
        let own = Set(snapshot.pauses.filter(\.isOfWorker).map(\.scope)).count
        let isAll = pause.isOfEverything || own > 0 && own >= snapshot.queue.workersAlive
        let others = snapshot.pauses.count - 1
        return StatusVerdict(
            level: .bad,
            headline: isAll ? "Nothing is sent: everything is paused." : "Sending is paused in part: \(pause.scope).",
            detail: "For \(StatusWords.span(pause.seconds)): \(Sentence.ended(pause.reason))"
                + (others > 0
                    ? " \(StatusWords.count(others, "more pause")) \(others == 1 ? "is" : "are") in force, see below."
                    : ""),
            remedy: pause.remedy ?? StatusWords.pauseRemedy(pause.scope), failsCheck: true)
    }
}

/// Numbers and times as people read them.
enum StatusWords {
    /// `1,234,567`.
    static func number(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + String(text.reversed())
    }

    /// `1 job`, `2 jobs`.
    static func count(_ count: Int, _ noun: String) -> String { "\(number(count)) \(noun)\(count == 1 ? "" : "s")" }

    /// A time in its largest unit, hours with minutes: `8 s`, `4 min`, `1 h 20 min`, `3 d`.
    static func span(_ seconds: Double) -> String { span(Int(min(max(seconds, 0), 1e12))) }
    static func span(_ seconds: Int) -> String {
        switch seconds {
        case ..<1: "0 s"
        case ..<100: "\(seconds) s"
        case ..<5_400: "\(seconds / 60) min"
        case ..<86_400:
            seconds / 60 % 60 == 0 ? "\(seconds / 3_600) h" : "\(seconds / 3_600) h \(seconds / 60 % 60) min"
        default: "\(number(seconds / 86_400)) d"
        }
    }

    /// `48 ms`, `1.2 s`.
    static func milliseconds(_ value: Double) -> String {
        if value < 1_000 { return "\(Int(value.rounded())) ms" }
        return value < 10_000 ? "\(tenths(value / 1_000)) s" : span(value / 1_000)
    }

    /// `12.5`, and from 100 on without a decimal: `123`.
    static func tenths(_ value: Double) -> String {
        if value >= 99.95 { return number(Int(value.rounded())) }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// `98.7%`. A share below 1 is never shown as 100%, and a share above 0 never as 0%.
    static func percent(_ share: Double) -> String {
        let thousandths =
            share > 0 && share < 0.001 ? 1 : share < 1 && share > 0.999 ? 999 : Int((share * 1_000).rounded())
        return thousandths.isMultiple(of: 10) ? "\(thousandths / 10)%" : "\(thousandths / 10).\(thousandths % 10)%"
    }

    /// `The limit country SA (500 a day) is used up until 2026-11-30 00:00:00+03.`
    static func usedUp(_ limit: StatusSnapshot.Limit) -> String {
        "The limit \(limit.name) (\(limit.allowed) \(limit.period == "day" ? "a day" : "an hour")) is used up until "
            + "\(limit.usedUpUntil ?? "—")."
    }

    /// `0.0075` for Twilio's price `-0.00750`. Twilio writes the cost of a message as a negative price.
    static func cost(_ price: String) -> String {
        var text = price.first == "-" ? price.dropFirst() : price[...]
        guard text.contains("."), JSONText.isNumber(String(text)), !text.lowercased().contains("e") else {
            return String(text)
        }
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return String(text)
    }

    /// The remedy for a limit that is used up.
    static func limitRemedy(_ limit: StatusSnapshot.Limit) -> String {
        "Check in otp.conversion_daily whether real users request so many codes. If they do, raise the limit in otp.limits "
            + "(scope \(limit.scope))."
    }

    /// The remedy for a pause that names none. `otpd resume` has no option for a budget's pause or a worker's own.
    static func pauseRemedy(_ scope: String) -> String {
        if scope == "budget" {
            return "Raise otp.settings.daily_budget, or wait: the pause ends by itself at midnight."
        }
        if scope.hasPrefix("worker ") { return "Correct the cause. The pause ends by itself when a probe succeeds." }
        return "End the pause: otpd resume --\(scope)"
    }
}
