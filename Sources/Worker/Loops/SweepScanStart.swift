import EventLoop

/// Where a sweep begins to look for leases that ended and codes that expired: pure, told what each sweep was and how
/// long it took.
///
/// Entries that an open transaction can still see stay in the indexes, dead. At 1,000 sends a second, a full sweep
/// stepped over 60,000 such entries after a minute (40 ms, every 2 s). So after a full sweep, for two hundred times its
/// length, sweeps begin where it ended, less `margin`. A lease or code that ended before that and becomes visible later
/// (after a commit that took as long) waits for the next full sweep, a minute at most. Without dead entries a sweep
/// takes a millisecond, and each is a full one.
struct SweepScanStart: Sendable {
    static let longest = Instant.Duration.seconds(60)
    /// A lease, and with it the longest that a claimed job is out of the queue; in microseconds.
    static let margin: Int64 = 30_000_000

    private var mark = ScanStart(longest: Self.longest)

    /// No mark: the first sweep is a full one.
    init() {}

    /// Where a sweep that begins now starts, in microseconds since the Unix epoch by the database's clock; nil for a
    /// full sweep.
    func start(at now: Instant) -> Int64? { mark.start(at: now) }

    /// A sweep from `start` on has ended after `took`: it looked at `lookedAt` by the database's clock. With `isFull`
    /// there may be more where it was.
    mutating func swept(from start: Int64?, lookedAt: Int64, isFull: Bool, took: Instant.Duration, at now: Instant) {
        guard !isFull else {
            forget()
            return
        }
        mark.value = lookedAt - Self.margin
        if start == nil { mark.lookedAtAll(took: took, at: now) }
    }

    /// A sweep failed: forgets the mark.
    mutating func forget() { self = SweepScanStart() }
}
