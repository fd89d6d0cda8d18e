import EventLoop
import Queue
import Twilio

/// Decides about feedback to Twilio: whether to ask now, what an answer means for one code, and when the next round is
/// due. Pure.
///
/// Feedback is worth less than a code, so every doubt ends in a wait. An answer that takes nothing (429, an error of the
/// server, refused credentials, none at all) holds all feedback of this worker for a while, and its code is tried again
/// later. A code is given up after a day or after `mostTries`.
struct FeedbackMachine: Sendable {
    /// Codes in a round. Rounds are a second apart, so it is also the most in a second.
    static let perRound = 10
    /// Requests under way at a time. They have connections of their own.
    static let atATime = 2
    /// How long a code is this worker's: longer than a round can take.
    static let lease = Instant.Duration.seconds(120)
    /// How long after its verification a code is given up.
    static let life = Instant.Duration.seconds(86_400)
    static let mostTries = 20
    /// From one round to the next, while there is something to do, and without.
    static let busy = Instant.Duration.seconds(1)
    static let idle = Instant.Duration.seconds(5)
    /// The longest that Twilio can have a worker wait.
    static let longestHold = Instant.Duration.seconds(Int64(mostSeconds))
    private static let mostSeconds = 3_600
    private static let retries = ExponentialBackoff(first: .seconds(30), longest: .seconds(7_200))
    private static let holds = ExponentialBackoff(first: .seconds(5), longest: .seconds(300))
    private static let rounds = ExponentialBackoff(first: busy, longest: idle)

    /// What to do about a code.
    enum Step: Sendable, Equatable {
        /// Tell Twilio that the message's code was used.
        case confirm(sid: String)
        case end(FinishFeedback.Outcome)
        case again(after: Instant.Duration, isCounted: Bool)
    }

    /// Answers in a row that took nothing.
    private var troubles = 0
    private var heldUntil = Instant(nanoseconds: 0)
    /// Rounds in a row without a code.
    private var emptyRounds = 0

    /// What to do about a code that was taken.
    func step(for item: TakeFeedback.Item, at now: Instant) -> Step {
        if item.age >= Self.life { return .end(.givenUp) }
        if let sid = item.sid {
            return now < heldUntil ? .again(after: heldUntil - now, isCounted: false) : .confirm(sid: sid)
        }
        return item.isPending ? Self.retry(item) : .end(.noMessage)
    }

    /// What an answer means for the code.
    mutating func answered(_ answer: FeedbackAnswer, for item: TakeFeedback.Item, at now: Instant) -> Step {
        switch answer {
        case .confirmed:
            troubles = 0
            return .end(.confirmed)
        case .unavailable:
            troubles = 0
            return .end(.unavailable)
        case .throttled(let retryAfter):
            hold(atLeast: .seconds(Int64(min(max(0, retryAfter ?? 0), Self.mostSeconds))), at: now)
            return Self.retry(item)
        case .refused, .unclear:
            hold(atLeast: .seconds(0), at: now)
            return Self.retry(item)
        }
    }

    /// Whether an answer has ended requests for now.
    func isHeld(at now: Instant) -> Bool { now < heldUntil }

    /// How long until the next round, after one that took `count` codes.
    mutating func wait(after count: Int) -> Instant.Duration {
        emptyRounds = count > 0 ? 0 : emptyRounds + 1
        return Self.rounds.delay(after: emptyRounds)
    }

    private mutating func hold(atLeast span: Instant.Duration, at now: Instant) {
        // Requests that were under way together are one trouble.
        if now >= heldUntil { troubles += 1 }
        heldUntil = max(heldUntil, now + max(span, Self.holds.delay(after: troubles)))
    }

    private static func retry(_ item: TakeFeedback.Item) -> Step {
        item.tries + 1 >= mostTries
            ? .end(.givenUp) : .again(after: retries.delay(after: item.tries + 1), isCounted: true)
    }
}
