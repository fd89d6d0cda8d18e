/// One call.
struct Call: Equatable {
    var sequence: Int
    var createdAt: Microseconds
    /// When it leaves the queue, counted from its creation.
    var startsMilliseconds: Int
    var to: [UInt8]
    var from: [UInt8]
    /// The words that a person hears.
    var words: String
    var outcome: CallOutcome
    /// When the account ended it, and how.
    var end: CallTimeline.Step?
    var callback: CallbackTarget?

    /// Where its events go.
    struct CallbackTarget: Equatable {
        var url: String
        var events: Set<CallEventName>
    }

    func timeline(_ delays: StatusDelays) -> CallTimeline {
        CallTimeline(outcome: outcome, startsMilliseconds: startsMilliseconds, end: end, delays: delays)
    }
}

/// The names that `StatusCallbackEvent` takes.
enum CallEventName: String, CaseIterable {
    case initiated, ringing, answered, completed

    /// The event of a call that reaches that status, or nil.
    init?(_ status: CallStatus) {
        switch status {
        case .queued: return nil
        case .initiated: self = .initiated
        case .ringing: self = .ringing
        case .inProgress: self = .answered
        case .completed, .busy, .noAnswer, .failed, .canceled: self = .completed
        }
    }
}
