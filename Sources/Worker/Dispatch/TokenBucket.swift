import EventLoop

/// A token bucket: sends per second. Pure.
///
/// The burst is a tenth of a second's tokens where not said otherwise, at least one: a rate limits every single second,
/// not the average.
struct TokenBucket: Sendable {
    private var rate: Double
    var perSecond: Double { rate }
    private let share: Double
    private var burst: Double
    private var tokens: Double
    private var filledAt: Instant

    /// A full bucket of `rate` tokens per second (> 0); the burst is `share` of a second's tokens.
    init(perSecond rate: Double, burst share: Double = 0.1, now: Instant) {
        self.rate = rate
        self.share = share
        burst = max(1, rate * share)
        tokens = burst
        filledAt = now
    }

    /// Changes the rate. Tokens that have gathered stay, as far as the new burst holds them.
    mutating func change(to rate: Double, at now: Instant) {
        fill(at: now)
        self.rate = rate
        burst = max(1, rate * share)
        tokens = min(tokens, burst)
    }

    /// Takes one token if there is one.
    mutating func take(at now: Instant) -> Bool {
        fill(at: now)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    /// When the next token will be there; `now` when there is one.
    mutating func nextToken(after now: Instant) -> Instant {
        fill(at: now)
        return tokens >= 1
            ? now : now + Instant.Duration(seconds: (1 - tokens) / rate) + Instant.Duration(nanoseconds: 1)
    }

    /// Tokens that will be spendable within `span`.
    mutating func within(_ span: Instant.Duration, of now: Instant) -> Int {
        fill(at: now)
        return Int(min(tokens + rate * span.seconds, 1e9))
    }

    private mutating func fill(at now: Instant) {
        guard now > filledAt else { return }
        tokens = min(burst, tokens + (now - filledAt).seconds * rate)
        filledAt = now
    }
}
