/// When to try again: full jitter, so that jobs that failed together do not come back together.
///
/// The n-th retry waits a random time up to `base` × 2ⁿ⁻¹, at most `cap`, and never so long that the code would be dead.
public struct Backoff: Sendable, Hashable {
    public var base: Duration
    public var cap: Duration
    /// The life that a code must have left when it is tried again. Twilio's shortest `ValidityPeriod` is one second.
    public var minimumLife: Duration

    /// The longest that an answer can make a job wait: whoever asks for more is asked again.
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
    /// `retryAfter`, where Twilio gave one, is waited above the cap too, up to a minute, and the jitter comes on top. It
    /// takes no more than half of the life left: a job waits within its code's life, and is tried again in it. Where the
    /// life left cuts the window short, the jitter is drawn from what is left of it.
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
    /// Whole microseconds, cut off; saturates far beyond any code's life.
    var microseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return product.addingReportingOverflow(attoseconds / 1_000_000_000_000).partialValue
    }
}
