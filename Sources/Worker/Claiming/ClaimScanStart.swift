import EventLoop
import Queue

/// Where a claim's scan of the queue begins: pure, told what each claim found and how long it took.
///
/// VACUUM cannot remove what an open transaction can still see. While a transaction stays open for minutes, every job
/// claimed since is a dead entry at the front of `otp.send_jobs_due`, and each claim steps over all of them. So once
/// full scans take a quarter of the session's time, the next claims report the lowest due time of any queued job,
/// claimable or not. They begin there, less a second for transactions that insert now and commit later. The report
/// costs such a claim 35 µs, which a quiet queue need not pay.
///
/// A job that becomes visible below the mark later than that (its transaction inserted and stayed open) is found by a
/// full scan. One is made as soon as two hundred times the length of the last has passed, and after 30 s at the latest.
/// So such a job waits at most 30 s longer, and the dead entries delay fewer than one job in a hundred: at 1,000 claims
/// a second for ten minutes, 0.15 s in 30. When full scans would take little time again, every claim is one.
struct ClaimScanStart: Sendable {
    static let longest = Instant.Duration.seconds(30)
    /// The share of the session's time from which on there is a mark, if full scans take more; and the share below
    /// which the mark goes.
    static let most = 0.25
    static let little = 0.15
    /// The weight of the last full scan in their average length.
    static let weight = 0.25

    /// The rate of claims of any kind.
    private var rate = RateEstimate()
    /// The average length of a full scan, in seconds.
    private var length = 0.0
    /// Whether there are enough dead entries for claims to begin at a mark.
    private(set) var isMarking = false
    private var mark = ScanStart(longest: Self.longest)

    /// No mark: the first claim is a full scan.
    init() {}

    /// How a claim that begins now looks at the queue, oldest first.
    func scan(at now: Instant) -> Claim.Scan {
        guard isMarking else { return .oldestFirst }
        return .fromMark(from: start(at: now))
    }

    /// From where on there may be queued jobs, in microseconds since the Unix epoch by the database's clock; nil: from
    /// the beginning.
    func start(at now: Instant) -> Int64? { mark.start(at: now) }

    /// A claim by `scan` was answered after `took`. `lowest` is the lowest due time in the queue; nil if the claim does
    /// not report it.
    mutating func claimed(_ scan: Claim.Scan, lowest: Int64?, took: Instant.Duration, at now: Instant) {
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
            // The scan did not look below `start`, so nothing is known there.
            if let lowest { mark.value = max(start, lowest) }
        }
    }

    /// A claim failed: forgets the mark.
    mutating func forget() { self = ClaimScanStart() }
}
