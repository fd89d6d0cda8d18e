public import EventLoop

/// A token bucket: sends per second for this worker (`OTPD_RATE_PER_SECOND`). Pure.
///
/// The burst is a tenth of a second's tokens, at least one: a rate is a promise about every second, not about the mean.
public struct TokenBucket: Sendable {
    private let rate: Double
    private let burst: Double
    private var tokens: Double
    private var filledAt: Instant

    /// A full bucket of `rate` tokens per second (> 0).
    public init(perSecond rate: Double, now: Instant) {
        self.rate = rate
        burst = max(1, rate / 10)
        tokens = burst
        filledAt = now
    }

    /// Takes one token if there is one.
    public mutating func take(at now: Instant) -> Bool {
        fill(at: now)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    /// When the next token will be there; `now` when there is one.
    public mutating func nextToken(after now: Instant) -> Instant {
        fill(at: now)
        return tokens >= 1 ? now : now + Instant.Span(seconds: (1 - tokens) / rate) + Instant.Span(nanoseconds: 1)
    }

    /// Tokens that will be spendable within `span`.
    public mutating func within(_ span: Instant.Span, of now: Instant) -> Int {
        fill(at: now)
        return Int(min(tokens + rate * span.seconds, 1e9))
    }

    private mutating func fill(at now: Instant) {
        guard now > filledAt else { return }
        tokens = min(burst, tokens + (now - filledAt).seconds * rate)
        filledAt = now
    }
}
