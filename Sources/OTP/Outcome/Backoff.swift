/// Decides when to retry. Full jitter keeps jobs that failed together from coming back together.
///
/// The n-th retry waits a random time up to `base` × 2ⁿ⁻¹, at most `cap`, and never past the code's expiry.
public struct Backoff: Sendable, Hashable {
    public var base: Duration
    public var cap: Duration
    /// The life that a code must have left at a retry. Twilio's shortest `ValidityPeriod` is one second.
    public var minimumLife: Duration

    /// The longest wait that a `Retry-After` can cause. After a longer one, the job is retried early and Twilio may
    /// refuse it again.
    public static let longestRetryAfter = Duration.seconds(60)

    public init(
        base: Duration = .milliseconds(500), cap: Duration = .seconds(15), minimumLife: Duration = .seconds(1)
    ) {
        self.base = base
        self.cap = cap
        self.minimumLife = minimumLife
    }

    public enum Decision: Sendable, Hashable {
        case retry(after: Duration)
        /// No retry fits into the code's life.
        case expire
    }

    /// Decides on the retry after `attempt` (the first is 1) with `lifeLeft` until the code expires.
    ///
    /// A `retryAfter` from Twilio may exceed the cap, up to a minute. The jitter is added to it. It takes at most half
    /// of the life left, so that the retry still happens while the code is live. If the life left cuts the window
    /// short, the jitter is drawn from the remainder.
    public func decide(
        attempt: Int, lifeLeft: Duration, retryAfter: Duration? = nil, using random: inout some RandomNumberGenerator
    ) -> Decision {
        let floor = max(.zero, min(retryAfter ?? .zero, Self.longestRetryAfter, lifeLeft / 2))
        let room = lifeLeft - minimumLife - floor
        guard room > .zero else { return .expire }
        let window = min(self.window(attempt: attempt), room)
        let jitter = Int64.random(in: 0...max(0, window.microseconds), using: &random)
        return .retry(after: floor + .microseconds(jitter))
    }

    /// The longest jitter after `attempt`: `base` × 2ᵃᵗᵗᵉᵐᵖᵗ⁻¹, at most `cap`.
    public func window(attempt: Int) -> Duration {
        var window = base
        for _ in 1..<max(2, attempt) where attempt > 1 {
            guard window < cap else { break }
            window *= 2
        }
        return min(window, cap)
    }
}

extension Duration {
    /// Whole microseconds, truncated; saturates far beyond any code's life.
    var microseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return product.addingReportingOverflow(attoseconds / 1_000_000_000_000).partialValue
    }
}
