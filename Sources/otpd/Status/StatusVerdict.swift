/// The first thing a person wants to know: does it work, and if not, since when, why, and what to do.
struct StatusVerdict: Equatable, Sendable {
    enum Level: Sendable { case good, warning, bad }

    let level: Level
    /// One short sentence.
    let headline: String
    /// Why, and since when.
    var detail: String?
    /// What to do.
    var remedy: String?
    /// Whether `otpd status --check` ends with 69 by it: nothing moves, or not what should.
    let failsCheck: Bool

    /// How long a job may be due, with a worker alive and nothing paused, before the queue counts as stuck.
    static let stuckAfter = 60.0

    /// What is worst comes first; the rest is below it, in the view.
    static func of(_ snapshot: StatusSnapshot) -> StatusVerdict {
        let queue = snapshot.queue
        if queue.workersAlive == 0 { return noWorker(snapshot) }
        if let pause = snapshot.pauses.first(where: { $0.scope == "all" })
            ?? snapshot.pauses.first(where: \.isOfWorker) ?? snapshot.pauses.first
        {
            return paused(pause, snapshot)
        }
        if queue.oldestDueSeconds >= stuckAfter {
            return StatusVerdict(
                level: .bad, headline: "Behind: a job has been due for \(StatusWords.span(queue.oldestDueSeconds)).",
                detail:
                    "\(StatusWords.number(queue.due)) are due, and \(StatusWords.number(queue.accepted.0)) were sent in the last "
                    + "minute. Codes that wait too long expire.",
                remedy:
                    "See what Twilio answers in the workers' log (journalctl -u otpd); if they are only slow, start "
                    + "another worker, or raise OTPD_MAX_IN_FLIGHT or OTPD_RATE_PER_SECOND.",
                failsCheck: true)
        }
        let ended = queue.accepted.1 + queue.failed.1
        if ended >= 10, let share = queue.successShare, share < 0.9 {
            let last = snapshot.failures.first
            return StatusVerdict(
                level: share < 0.5 ? .bad : .warning,
                headline: "\(StatusWords.percent(1 - share)) of the sends of the last 5 minutes failed.",
                detail: last?.error.map { "The last one: \($0)" }, remedy: last?.remedy, failsCheck: false)
        }
        if let limit = snapshot.limits.first(where: { $0.usedUpUntil != nil }) {
            let others = snapshot.limits.count { $0.usedUpUntil != nil } - 1
            return StatusVerdict(
                level: .warning, headline: StatusWords.usedUp(limit),
                detail: "Requests that it counts are refused with OT001."
                    + (others > 0 ? " (And \(StatusWords.count(others, "more limit")), below.)" : ""),
                remedy: StatusWords.limitRemedy(limit), failsCheck: false)
        }
        let dead = snapshot.workers.filter { $0.isDead && $0.sends }
        if let last = dead.map(\.heartbeatSeconds).min(), last < 600 {
            return StatusVerdict(
                level: .warning,
                headline: dead.count == 1
                    ? "Working, but worker \(dead[0].id) is dead." : "Working, but \(dead.count) workers are dead.",
                detail: "The last heartbeat was \(StatusWords.span(last)) ago.",
                remedy: "See the end of its log (journalctl -u otpd); systemd starts it again by itself.",
                failsCheck: false)
        }
        if queue.unknown > 0 {
            return StatusVerdict(
                level: .warning,
                headline: "Working; the outcome of \(StatusWords.count(queue.unknown, "send")) is unknown.",
                detail: "Workers are looking for them in Twilio's list: about a minute.", failsCheck: false)
        }
        if queue.accepted.0 == 0, let send = snapshot.sends.first(where: { $0.state == "queued" && $0.error != nil }) {
            return StatusVerdict(
                level: .warning,
                headline: "Nothing got through in the last minute; \(StatusWords.count(queue.queued, "job")) "
                    + "\(queue.queued == 1 ? "waits" : "wait").",
                detail: "Of job \(send.id): \(send.error ?? "")", remedy: send.remedy, failsCheck: false)
        }
        let headline =
            queue.accepted.0 > 0
            ? "Working: \(StatusWords.number(queue.accepted.0)) sent in the last minute."
            : queue.due + queue.sending > 0
                ? "Working."
                : "Working; there is nothing to send\(queue.accepted.2 == 0 ? ", and was not for an hour" : "")."
        return StatusVerdict(level: .good, headline: headline, failsCheck: false)
    }

    private static func noWorker(_ snapshot: StatusSnapshot) -> StatusVerdict {
        let last = snapshot.workers.filter(\.sends).min { $0.heartbeatSeconds < $1.heartbeatSeconds }
        let since = last.map { worker in
            worker.isStopped
                ? "Worker \(worker.id) was stopped \(StatusWords.span(worker.heartbeatSeconds)) ago"
                : "The last heartbeat, of worker \(worker.id), was \(StatusWords.span(worker.heartbeatSeconds)) ago"
        }
        let due = snapshot.queue.due
        return StatusVerdict(
            level: .bad, headline: "No worker is alive; nothing is sent.",
            detail:
                "\(since ?? "There was no heartbeat within an hour"); \(StatusWords.count(due, "job")) \(due == 1 ? "is" : "are") due.",
            remedy: "Start one: systemctl start otpd, or otpd run. If it does not stay, journalctl -u otpd says why.",
            failsCheck: true)
    }

    private static func paused(_ pause: StatusSnapshot.Pause, _ snapshot: StatusSnapshot) -> StatusVerdict {
        let own = Set(snapshot.pauses.filter(\.isOfWorker).map(\.scope)).count
        let isAll = pause.scope == "all" || own > 0 && own >= snapshot.queue.workersAlive
        let others = snapshot.pauses.count - 1
        return StatusVerdict(
            level: .bad,
            headline: isAll ? "Nothing is sent: everything is paused." : "Sending is paused in part: \(pause.scope).",
            detail:
                "For \(StatusWords.span(pause.seconds)): \(pause.reason)\(others > 0 ? " (And \(StatusWords.count(others, "more pause")), below.)" : "")",
            remedy: pause.remedy ?? StatusWords.endsByHand(pause.scope), failsCheck: true)
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

    /// The largest unit, and the next where it says something: `8 s`, `4 min`, `1 h 20 min`, `3 d`.
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

    /// `12.5`; from a hundred on `123`.
    static func tenths(_ value: Double) -> String {
        if value >= 99.95 { return number(Int(value.rounded())) }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// `98.7%`; never 100% or 0% for what is not quite.
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

    /// What to do about a limit that is used up.
    static func limitRemedy(_ limit: StatusSnapshot.Limit) -> String {
        "See whether real users ask for so many codes (otp.conversion_daily); if they do, raise the limit in otp.limits "
            + "(scope \(limit.scope))."
    }

    /// What ends a pause that nothing probes.
    static func endsByHand(_ scope: String) -> String { "It ends by hand: otpd resume --\(scope)" }
}
