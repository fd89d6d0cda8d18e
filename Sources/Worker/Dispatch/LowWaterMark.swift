public import EventLoop

/// Where a claim's scan of the queue begins: pure, told what each claim found and how long it took.
///
/// What an open transaction of somebody's can still see, no vacuum removes: while one is open for minutes, every job that
/// has been claimed since is a dead entry at the front of `otp.send_jobs_due`, and a claim steps over all of them. So a
/// claim says what was the lowest due time of any queued job (claimable or not, in anybody's hands or not), and the next
/// one begins there, less a second for transactions that insert now and commit later.
///
/// What comes to light below the mark later than that (a transaction that inserted and stayed open) is seen by a claim that
/// looks at everything. One is made as soon as twenty times the length of the last has passed, some 40 ms where the queue is
/// well, and after 5 s at the latest: so such a job waits 5 s longer at most, and the dead entries cost a twentieth of the
/// session's time, or one scan in 5 s. A worker that looks less often than that, an idle one, looks at everything each time.
public struct LowWaterMark: Sendable {
    static let restraint: Int64 = 20
    static let longest = Instant.Span.seconds(5)

    private var mark: Int64?
    /// Until when claims begin at the mark.
    private var until: Instant?

    /// No mark: the first claim looks at everything.
    public init() {}

    /// Where a scan that begins now starts, in microseconds since the Unix epoch by the database's clock; nil: at the
    /// beginning.
    public func start(at now: Instant) -> Int64? {
        guard let until, now < until else { return nil }
        return mark
    }

    /// A claim that started at `start` has been answered after `took`; `lowest` is what it says of the queue, nil where it
    /// brought nothing.
    public mutating func claimed(from start: Int64?, lowest: Int64?, took: Instant.Span, at now: Instant) {
        if let lowest {
            // Nothing below `start` was looked at: below it nothing is known.
            mark = start.map { max($0, lowest) } ?? lowest
        }
        guard start == nil else { return }
        let pause = Instant.Span(nanoseconds: min(took.nanoseconds, Self.longest.nanoseconds) * Self.restraint)
        until = now + min(pause, Self.longest)
    }

    /// What is known is known no more: a claim failed.
    public mutating func forget() { self = LowWaterMark() }
}
