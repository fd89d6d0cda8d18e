/// Delays between failing attempts: each twice as long as the one before, up to a maximum. Pure.
public struct ExponentialBackoff: Sendable, Hashable {
    /// The delay after the first failure.
    public var first: Instant.Duration
    /// The longest delay.
    public var longest: Instant.Duration

    public init(first: Instant.Duration, longest: Instant.Duration) {
        self.first = first
        self.longest = longest
    }

    /// The delay after `failures` in a row (from 1 on).
    public func delay(after failures: Int) -> Instant.Duration {
        let (product, isOver) = first.nanoseconds.multipliedReportingOverflow(
            by: 1 << Int64(min(max(failures - 1, 0), 40)))
        return isOver ? longest : min(Instant.Duration(nanoseconds: product), longest)
    }

    /// With full jitter: `random` (0..<1) × the delay. It keeps clients that failed together from coming back together.
    public func delay(after failures: Int, random: Double) -> Instant.Duration {
        Instant.Duration(nanoseconds: Int64(random * Double(delay(after: failures).nanoseconds)))
    }
}
