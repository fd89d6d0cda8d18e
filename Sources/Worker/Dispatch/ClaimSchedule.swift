public import EventLoop

/// When to look for due jobs: pure, told what happened and what time it is.
///
/// NOTIFY is a hint and the poll is the truth (DESIGN 2, "Wake-ups"): a guarded notifier may commit up to 33 ms after the
/// wake, so a wake is followed by looks 5, 20 and 80 ms later; after any activity it polls about every 500 ms for 10 s,
/// and for as long as LISTEN is not healthy. Otherwise it looks only when told of a due job.
public struct ClaimSchedule: Sendable {
    /// How long after a wake it looks again.
    static let followUps: [Instant.Span] = [.milliseconds(5), .milliseconds(20), .milliseconds(80)]
    static let pollInterval = 0.5
    static let activeSpan = Instant.Span.seconds(10)

    /// Whether a NOTIFY would reach this worker.
    public var isListening = false

    private var looks: [Instant] = []
    /// No look before this: the last one was refused.
    private var heldUntil: Instant?
    private var activeUntil: Instant

    /// A schedule that looks at once.
    public init(now: Instant) {
        looks = [now]
        activeUntil = now
    }

    /// When the next look is due; nil when only a wake brings one.
    public var next: Instant? { looks.first }

    /// A NOTIFY arrived, or the connection is new: looks at once and a few times soon after.
    public mutating func wake(at now: Instant) {
        activeUntil = now + Self.activeSpan
        add(now)
        for span in Self.followUps { add(now + span) }
    }

    /// Something is known to be due at `due`: a retry of our own, or the next due job by the heartbeat.
    public mutating func expect(at due: Instant) { add(due) }

    /// A look has begun: what was due by now is served by it.
    public mutating func looked(at now: Instant) {
        looks.removeAll { $0 <= now }
    }

    /// A look has ended, with `found` jobs; `isFull` when it got all it asked for, and so there may be more.
    ///
    /// - Parameter jitter: random in 0..<1, so that many workers do not poll in step.
    public mutating func found(_ found: Int, isFull: Bool, at now: Instant, jitter: Double) {
        if found > 0 { activeUntil = now + Self.activeSpan }
        heldUntil = nil
        if isFull {
            add(now)
        } else if now < activeUntil || !isListening {
            // Whatever else is expected later: a retry in 15 s must not silence the poll.
            let poll = now + Instant.Span(seconds: Self.pollInterval * (0.75 + 0.5 * jitter))
            if looks.first.map({ $0 > poll }) ?? true { add(poll) }
        }
    }

    /// A look was refused: the next is at `instant`, and what wakes it before then waits too.
    public mutating func hold(until instant: Instant) {
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
