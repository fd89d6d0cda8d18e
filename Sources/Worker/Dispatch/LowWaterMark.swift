public import EventLoop
public import Queue

/// Where a claim's scan of the queue begins: pure, told what each claim found and how long it took.
///
/// What an open transaction of somebody's can still see, no vacuum removes: while one is open for minutes, every job that
/// has been claimed since is a dead entry at the front of `otp.send_jobs_due`, and a claim steps over all of them. So once
/// claims of everything take a quarter of the session's time, the next ones say what was the lowest due time of any queued
/// job (claimable or not, in anybody's hands or not), and begin there, less a second for transactions that insert now and
/// commit later. That costs such a claim 35 µs, which a quiet queue need not pay.
///
/// What comes to light below the mark later than that (a transaction that inserted and stayed open) is seen by a claim that
/// looks at everything. One is made as soon as two hundred times the length of the last has passed, and after 30 s at the
/// latest: so such a job waits 30 s longer at most, and what the dead entries cost meets fewer than one job in a hundred:
/// at 1,000 claims a second for ten minutes, 0.15 s in 30. When claims of everything would take little time again, all are such.
public struct LowWaterMark: Sendable {
    static let longest = Instant.Span.seconds(30)
    /// The shares of the session's time that claims of everything may take before there is a mark, and that they would take
    /// when there is none any more.
    static let most = 0.25
    static let little = 0.15
    /// How much the last claim of everything counts for what they take.
    static let weight = 0.25

    /// Claims of any kind.
    private var rate = RateEstimate()
    /// What a claim of everything takes, in seconds.
    private var length = 0.0
    /// Whether there are dead entries enough for claims to begin at a mark.
    public private(set) var isMarking = false
    private var mark = ScanMark(longest: Self.longest)

    /// No mark: the first claim looks at everything.
    public init() {}

    /// How a claim that begins now looks at the queue, oldest first.
    public func scan(at now: Instant) -> Claim.Scan {
        guard isMarking else { return .oldestFirst }
        return .fromMark(from: start(at: now))
    }

    /// From where on there may be queued jobs, in microseconds since the Unix epoch by the database's clock; nil: from the
    /// beginning.
    public func start(at now: Instant) -> Int64? { mark.start(at: now) }

    /// A claim that looked at the queue by `scan` has been answered after `took`; `lowest` is what it says of the queue, nil
    /// where it says nothing.
    public mutating func claimed(_ scan: Claim.Scan, lowest: Int64?, took: Instant.Span, at now: Instant) {
        rate.count(at: now)
        switch scan {
        case .newestFirst: return
        case .oldestFirst, .fromMark(nil):
            length += (took.seconds - length) * Self.weight
            isMarking = length * rate.perSecond(at: now) > (isMarking ? Self.little : Self.most)
            if let lowest { mark.value = lowest }
            if case .oldestFirst = scan { return }
            mark.lookedAtAll(took: took, at: now)
        case .fromMark(let start?):
            // Nothing below `start` was looked at: below it nothing is known.
            if let lowest { mark.value = max(start, lowest) }
        }
    }

    /// What is known is known no more: a claim failed.
    public mutating func forget() { self = LowWaterMark() }
}
