import EventLoop

/// When to look for due jobs: pure, told what happened and what time it is.
///
/// A look is a claim that may find nothing. NOTIFY is a hint, and polling finds every job: a transaction that does not
/// notify, because another one does, may commit some ms after that wake-up. So a wake is followed by looks 5, 20 and 80
/// ms later. After any activity it polls at least every 500 ms for 10 s, and for as long as LISTEN is not healthy. SQL
/// `wake_workers` relies on both. Otherwise it looks only when told of a due job.
///
/// Every NOTIFY reaches all workers, and one of them gets the job. So they share the four looks, by their order and by
/// a number that the NOTIFY carries: of two workers each takes two, of four each one. If a worker is dead or busy, the
/// next one looks 5 ms later. If workers disagree about which of them run, polling still finds every job.
struct ClaimSchedule: Sendable {
    /// How long after a wake it looks.
    static let wakeLooks: [Instant.Duration] = [
        .milliseconds(0), .milliseconds(5), .milliseconds(20), .milliseconds(80),
    ]
    /// ±25%: at most 500 ms.
    static let pollInterval = 0.4
    static let activeSpan = Instant.Duration.seconds(10)
    /// Looks that find nothing: so many at once, and so many a second. Any role may NOTIFY, and a thousand such wakes a
    /// second must not keep the worker and its database busy. A look that finds jobs pays for four others.
    static let spareLooks = 64.0
    static let spareLooksPerSecond = 20.0

    /// Whether a NOTIFY would reach this worker.
    var isListening = false
    /// How many other workers come before this one, and how many there are with it: by the last heartbeat.
    var workers = (before: 0, all: 1)

    private var looks: [Instant] = []
    /// No look before this: the last one was refused.
    private var heldUntil: Instant?
    private var activeUntil: Instant
    /// Looks that may still find nothing, as of the last look.
    private var spare: (looks: Double, at: Instant)
    /// No look before this: too many have found nothing.
    private var restsUntil: Instant

    /// A schedule that looks at once.
    init(now: Instant) {
        looks = [now]
        activeUntil = now
        spare = (Self.spareLooks, now)
        restsUntil = now
    }

    /// When the next look is due; nil when only a wake brings one.
    var next: Instant? { looks.first.map { max($0, restsUntil) } }

    /// Whether it polls, whatever it is told: there was something to do a moment ago.
    func isActive(at now: Instant) -> Bool { now < activeUntil }

    /// There may be due jobs, or the connection is new: looks at once and a few times soon after.
    mutating func wake(at now: Instant) {
        activeUntil = now + Self.activeSpan
        for span in Self.wakeLooks { add(now + span) }
    }

    /// A NOTIFY arrived, with the number that was drawn for it (nil: every worker looks): takes this worker's share of
    /// the looks.
    mutating func notified(draw: Int?, at now: Instant) {
        guard let draw, draw >= 0, workers.all > 1 else { return wake(at: now) }
        activeUntil = now + Self.activeSpan
        let turn = (draw % workers.all + workers.before) % workers.all
        for (look, span) in Self.wakeLooks.enumerated() where look % workers.all == turn { add(now + span) }
        // With more than four workers some have no look: they poll.
        let poll = now + Instant.Duration(seconds: Self.pollInterval)
        if looks.first.map({ $0 > poll }) ?? true { add(poll) }
    }

    /// Something is known to be due at `due`: a retry of our own, or the next due job by the heartbeat.
    mutating func expect(at due: Instant) { add(due) }

    /// A look has begun: what was due by now is served by it.
    mutating func looked(at now: Instant) {
        looks.removeAll { $0 <= now }
        let refilled = spare.looks + max(0, (now - spare.at).seconds) * Self.spareLooksPerSecond
        spare = (min(refilled, Self.spareLooks) - 1, now)
        if spare.looks < 1 {
            restsUntil = now + Instant.Duration(seconds: (1 - spare.looks) / Self.spareLooksPerSecond)
        }
    }

    /// A look has ended, with `found` jobs; `isFull` when it got all it asked for, and so there may be more.
    ///
    /// - Parameter jitter: random in 0..<1, so that many workers do not poll in step.
    mutating func found(_ found: Int, isFull: Bool, at now: Instant, jitter: Double) {
        if found > 0 {
            activeUntil = now + Self.activeSpan
            spare.looks = min(spare.looks + 5, Self.spareLooks)
            restsUntil = now
        }
        heldUntil = nil
        if isFull {
            add(now)
        } else if now < activeUntil || !isListening {
            // A look that is due later, such as a retry in 15 s, must not stop the polling.
            let poll = now + Instant.Duration(seconds: Self.pollInterval * (0.75 + 0.5 * jitter))
            if looks.first.map({ $0 > poll }) ?? true { add(poll) }
        }
    }

    /// A look was refused: the next is at `instant`, and what wakes it before then waits too.
    mutating func hold(until instant: Instant) {
        heldUntil = instant
        looks.removeAll { $0 <= instant }
        add(instant)
    }

    private mutating func add(_ wanted: Instant) {
        let instant = heldUntil.map { max($0, wanted) } ?? wanted
        guard !looks.contains(instant) else { return }
        looks.append(instant)
        looks.sort()
        // Bounded: far looks beyond these are found by the heartbeat again.
        if looks.count > 64 { looks.removeLast() }
    }
}
