import EventLoop

/// Where scans of an index begin between two full scans: pure, told what the full scans found and how long they took.
/// Rows that become visible below that mark wait for the next full scan.
struct ScanStart: Sendable {
    /// Full scans take a two-hundredth of the time, so that they delay fewer than one job in a hundred.
    static let restraint: Int64 = 200

    /// The longest time between two full scans.
    let longest: Instant.Duration
    /// In microseconds since the Unix epoch by the database's clock.
    var value: Int64?
    /// Until when scans begin at the mark.
    private var until: Instant?

    /// No mark: the first scan is a full one.
    init(longest: Instant.Duration) { self.longest = longest }

    /// Where a scan that begins now starts; nil for a full scan.
    func start(at now: Instant) -> Int64? {
        guard let until, now < until else { return nil }
        return value
    }

    /// A full scan has ended after `took`.
    mutating func lookedAtAll(took: Instant.Duration, at now: Instant) {
        let pause = min(took.nanoseconds, longest.nanoseconds) * Self.restraint
        until = now + min(Instant.Duration(nanoseconds: pause), longest)
    }
}
