import EventLoop

/// Where a sweep begins to look for leases and lives that have ended: pure, told what each sweep was and how long it
/// took.
///
/// What an open transaction of somebody's can still see stays in the indexes, dead: at 1,000 sends a second a sweep of
/// everything stepped over 60,000 such entries after a minute (40 ms, every 2 s). So when one has looked at everything,
/// those of the next two hundred times its length begin where it ended, less `margin`: a lease or a life that ended
/// before that and comes to light later (a commit that took as long) waits for the next sweep of everything, a minute
/// at most. Where nobody holds dead entries a sweep takes a millisecond, and each is one of everything.
struct SweepScanStart: Sendable {
    static let longest = Instant.Duration.seconds(60)
    /// A lease, and with it the longest that a claimed job is out of the queue; in microseconds.
    static let margin: Int64 = 30_000_000

    private var mark = ScanStart(longest: Self.longest)

    /// No mark: the first sweep looks at everything.
    init() {}

    /// From where on a sweep that begins now looks, in microseconds since the Unix epoch by the database's clock; nil: at
    /// everything.
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

    /// What is known is known no more: a sweep failed.
    mutating func forget() { self = SweepScanStart() }
}
