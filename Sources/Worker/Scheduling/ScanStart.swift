import EventLoop

/// From where on the scans of an index begin between two that look at everything: pure, told what those found and how
/// long they took. What comes to light below it waits for the next scan of everything.
struct ScanStart: Sendable {
    /// Scans of everything take a two-hundredth of the time: what they cost meets fewer than one job in a hundred.
    static let restraint: Int64 = 200

    /// At the latest so long after a scan of everything comes the next.
    let longest: Instant.Duration
    /// In microseconds since the Unix epoch by the database's clock.
    var value: Int64?
    /// Until when scans begin at the mark.
    private var until: Instant?

    /// No mark: the first scan looks at everything.
    init(longest: Instant.Duration) { self.longest = longest }

    /// From where on a scan that begins now looks; nil: at everything.
    func start(at now: Instant) -> Int64? {
        guard let until, now < until else { return nil }
        return value
    }

    /// A scan of everything has ended after `took`.
    mutating func lookedAtAll(took: Instant.Duration, at now: Instant) {
        let pause = min(took.nanoseconds, longest.nanoseconds) * Self.restraint
        until = now + min(Instant.Duration(nanoseconds: pause), longest)
    }
}
