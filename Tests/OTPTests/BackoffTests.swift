import OTP
import TestSupport
import Testing

/// Gives always nearly the least (2⁻²¹ of a range), or always the most, of a range. It never gives 0, because the
/// standard library would draw again for an unbiased value, for ever.
private struct Extreme: RandomNumberGenerator {
    let value: UInt64
    mutating func next() -> UInt64 { value }
}

struct BackoffTests {
    @Test func windowsDoubleUpToTheCap() {
        let backoff = Backoff()
        let windows = (1...8).map { backoff.window(attempt: $0) }
        #expect(windows == [0.5, 1, 2, 4, 8, 15, 15, 15].map { Duration.seconds($0) })
        #expect(backoff.window(attempt: 0) == .milliseconds(500))
        #expect(backoff.window(attempt: -3) == .milliseconds(500))
        #expect(backoff.window(attempt: .max) == .seconds(15))
    }

    @Test func jitterIsFull() {
        var least = Extreme(value: 1 << 43)
        var most = Extreme(value: .max)
        #expect(Backoff().decide(attempt: 3, lifeLeft: .seconds(300), using: &least) == .retry(after: .microseconds(0)))
        #expect(Backoff().decide(attempt: 3, lifeLeft: .seconds(300), using: &most) == .retry(after: .seconds(2)))
        #expect(Backoff().decide(attempt: 99, lifeLeft: .seconds(300), using: &most) == .retry(after: .seconds(15)))
    }

    /// Over random lives and attempts: a retry always leaves a second of life, never exceeds the window, and is refused
    /// exactly where not even an immediate one fits.
    @Test func neverPastTheLife() {
        var random = SeededGenerator(5)
        for _ in 0..<3_000 {
            let life = Duration.milliseconds(Int.random(in: -1_000...20_000, using: &random))
            let wait: Duration? =
                Bool.random(using: &random) ? .milliseconds(Int.random(in: 0...20_000, using: &random)) : nil
            let attempt = Int.random(in: 1...10, using: &random)
            let floor = max(.zero, min(wait ?? .zero, life / 2))
            let fits = life - .seconds(1) - floor > .zero
            switch Backoff().decide(attempt: attempt, lifeLeft: life, retryAfter: wait, using: &random) {
            case .retry(let after):
                #expect(fits && after >= floor && life - after >= .seconds(1))
                #expect(after - floor <= Backoff().window(attempt: attempt))
            case .expire:
                #expect(!fits)
            }
        }
    }

    @Test func retryAfterIsHonouredAboveTheCap() {
        var most = Extreme(value: .max)
        #expect(
            Backoff().decide(attempt: 1, lifeLeft: .seconds(120), retryAfter: .seconds(60), using: &most)
                == .retry(after: .milliseconds(60_500)))
        // No more than half of the life left, and no more than a minute: the job is tried again within its code's life.
        #expect(
            Backoff().decide(attempt: 1, lifeLeft: .seconds(61), retryAfter: .seconds(60), using: &most)
                == .retry(after: .seconds(31)))
        #expect(
            Backoff().decide(attempt: 1, lifeLeft: .seconds(300), retryAfter: .seconds(86_400), using: &most)
                == .retry(after: .milliseconds(60_500)))
        #expect(
            Backoff().decide(attempt: 1, lifeLeft: .seconds(10), retryAfter: .seconds(-5), using: &most)
                == .retry(after: .milliseconds(500)))
        let forever = Duration.seconds(Int64.max / 4)
        #expect(
            Backoff().decide(attempt: 1, lifeLeft: .seconds(10), retryAfter: forever, using: &most)
                == .retry(after: .milliseconds(5500)))
    }

    @Test func spreadIsEven() {
        var random = SeededGenerator(8)
        var sum = Duration.zero
        for _ in 0..<4_000 {
            guard case .retry(let after) = Backoff().decide(attempt: 5, lifeLeft: .seconds(300), using: &random) else {
                Issue.record("no retry")
                continue
            }
            sum += after
        }
        let mean = sum / 4_000
        #expect(mean > .seconds(3.8) && mean < .seconds(4.2))
    }
}
