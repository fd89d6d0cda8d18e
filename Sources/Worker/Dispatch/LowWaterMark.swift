public import EventLoop
public import Queue

/// Where a claim's scan of the queue begins: pure, told what each claim found and how long it took.
///
/// What an open transaction of somebody's can still see, no vacuum removes: while one is open for minutes, every job that
/// has been claimed since is a dead entry at the front of `otp.send_jobs_due`, and a claim steps over all of them. So once a
/// claim has been slow, the next ones say what was the lowest due time of any queued job (claimable or not, in anybody's
/// hands or not), and begin there, less a second for transactions that insert now and commit later.
///
/// What comes to light below the mark later than that (a transaction that inserted and stayed open) is seen by a claim that
/// looks at everything. One is made as soon as twenty times the length of the last has passed, and after 5 s at the latest:
/// so such a job waits 5 s longer at most, and the dead entries cost a twentieth of the session's time, or one scan in 5 s.
/// When that claim is quick, the dead are gone.
public struct LowWaterMark: Sendable {
    static let restraint: Int64 = 20
    static let longest = Instant.Span.seconds(5)
    /// A claim that took longer than this, and than `slowRow` for each of its jobs, may have stepped over dead entries: over
    /// some 30,000. Where the disk or another program was slow and not the scan, the next claim costs 35 µs more.
    static let slow = Instant.Span.milliseconds(4)
    static let slowRow = Instant.Span(nanoseconds: 50_000)

    private var isSlow = false
    private var mark: Int64?
    /// Until when claims begin at the mark.
    private var until: Instant?

    /// No mark: the first claim looks at everything.
    public init() {}

    /// How a claim that begins now looks at the queue, oldest first.
    public func scan(at now: Instant) -> Claim.Scan {
        guard isSlow else { return .oldestFirst }
        return .pastDead(from: start(at: now))
    }

    /// From where on there may be queued jobs, in microseconds since the Unix epoch by the database's clock; nil: from the
    /// beginning.
    public func start(at now: Instant) -> Int64? {
        guard let until, now < until else { return nil }
        return mark
    }

    /// A claim of `count` jobs that looked at the queue by `scan` has been answered after `took`; `lowest` is what it says
    /// of the queue, nil where it says nothing.
    public mutating func claimed(_ scan: Claim.Scan, count: Int, lowest: Int64?, took: Instant.Span, at now: Instant) {
        switch scan {
        case .newestFirst: return
        case .oldestFirst, .pastDead(nil):
            isSlow = took > max(Self.slow, Instant.Span(nanoseconds: Self.slowRow.nanoseconds * Int64(count)))
            if let lowest { mark = lowest }
            if case .oldestFirst = scan { return }
            let pause = Instant.Span(nanoseconds: min(took.nanoseconds, Self.longest.nanoseconds) * Self.restraint)
            until = now + min(pause, Self.longest)
        case .pastDead(let start?):
            // Nothing below `start` was looked at: below it nothing is known.
            if let lowest { mark = max(start, lowest) }
        }
    }

    /// What is known is known no more: a claim failed.
    public mutating func forget() { self = LowWaterMark() }
}
