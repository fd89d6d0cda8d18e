import EventLoop
import Queue

/// Where a claim's scan of the queue begins: pure, told what each claim found and how long it took.
///
/// VACUUM cannot remove what an open transaction can still see. While a transaction stays open for minutes, every job
/// claimed since is a dead entry at the front of `otp.send_jobs_due`, and each claim steps over all of them. So once
/// the steps take a quarter of the session's time, the next claims report the lowest due time of any queued job,
/// claimable or not. They begin there, less a second for transactions that insert now and commit later. The report
/// costs such a claim 50 µs of 160 (medians of single claims), which a queue without dead entries need not pay.
///
/// The steps of a full scan take what it took beyond the shortest claim. Claims that found jobs are compared with such
/// claims, because they also wait for the disk.
///
/// A job that becomes visible below the mark later than that (its transaction inserted and stayed open) is found by a
/// full scan. One is made as soon as two hundred times the length of the last has passed, and after 30 s at the latest.
/// So such a job waits at most 30 s longer, and the dead entries delay fewer than one job in a hundred: at 1,000 claims
/// a second for ten minutes, 0.15 s in 30. When full scans would take little time again, every claim is one.
struct ClaimScanStart: Sendable {
    static let longest = Instant.Duration.seconds(30)
    /// The share of the session's time from which on there is a mark, if steps over dead entries take more; and the
    /// share below which the mark goes.
    static let most = 0.25
    static let little = 0.15
    /// The weight of the last full scan in the average of what they took too long.
    static let weight = 0.25
    /// What a claim without dead entries takes, in seconds, until a shorter one is seen. Otherwise a worker that starts
    /// among dead entries would never see a short one.
    static let usual = 0.0005

    /// The rate of claims of any kind.
    private var rate = RateEstimate()
    /// The shortest claim, oldest first, that found no job, and the shortest that found one, in seconds.
    private var shortest = (empty: Self.usual, filled: Self.usual)
    /// What a full scan takes beyond the shortest claim, in seconds: an average.
    private var excess = 0.0
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

    /// A claim by `scan` was answered after `took`, and found a job or not. `lowest` is the lowest due time in the
    /// queue; nil if the claim does not report it.
    mutating func claimed(
        _ scan: Claim.Scan, foundJobs: Bool, lowest: Int64?, took: Instant.Duration, at now: Instant
    ) {
        rate.count(at: now)
        if scan == .newestFirst { return }
        let steps = foundJobs ? Self.beyond(&shortest.filled, took) : Self.beyond(&shortest.empty, took)
        switch scan {
        case .newestFirst: break
        case .oldestFirst, .fromMark(nil):
            excess += (steps - excess) * Self.weight
            isMarking = excess * rate.perSecond(at: now) > (isMarking ? Self.little : Self.most)
            if let lowest { mark.value = lowest }
            if case .oldestFirst = scan { return }
            mark.lookedAtAll(took: took, at: now)
        case .fromMark(let start?):
            // The scan did not look below `start`, so nothing is known there.
            if let lowest { mark.value = max(start, lowest) }
        }
    }

    /// What `took` lies above `shortest`, in seconds, which falls to `took` at most.
    private static func beyond(_ shortest: inout Double, _ took: Instant.Duration) -> Double {
        shortest = min(shortest, took.seconds)
        return took.seconds - shortest
    }

    /// A claim failed: forgets the mark.
    mutating func forget() { self = ClaimScanStart() }
}
