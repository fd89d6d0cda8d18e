/// Twilio's statuses of a call.
enum CallStatus: String, CaseIterable, Equatable, Sendable {
    case queued, initiated, ringing, completed, busy, failed, canceled
    case inProgress = "in-progress"
    case noAnswer = "no-answer"

    var isFinal: Bool {
        switch self {
        case .queued, .initiated, .ringing, .inProgress: false
        case .completed, .busy, .noAnswer, .failed, .canceled: true
        }
    }
}

/// How a call ends.
enum CallOutcome: String, CaseIterable, Equatable, Sendable {
    case completed, busy, failed, canceled
    case noAnswer = "no-answer"

    var status: CallStatus {
        switch self {
        case .completed: .completed
        case .busy: .busy
        case .failed: .failed
        case .canceled: .canceled
        case .noAnswer: .noAnswer
        }
    }
}

/// The statuses of one call in order. A pure function, as a message's timeline is.
struct CallTimeline: Equatable {
    typealias Step = TimedStatus<CallStatus>

    let steps: [Step]

    /// `starts`: when the call leaves the queue. `end`: when the account ended it, and how.
    init(outcome: CallOutcome, startsMilliseconds starts: Int, end: Step?, delays: StatusDelays) {
        var steps = [
            Step(status: .queued, afterMilliseconds: 0), Step(status: .initiated, afterMilliseconds: starts),
        ]
        switch outcome {
        case .completed, .noAnswer, .busy:
            steps.append(Step(status: .ringing, afterMilliseconds: starts + delays.sendingMilliseconds))
        case .failed, .canceled: break
        }
        if outcome == .completed {
            steps.append(Step(status: .inProgress, afterMilliseconds: starts + delays.sentMilliseconds))
        }
        steps.append(Step(status: outcome.status, afterMilliseconds: starts + delays.finalMilliseconds))
        if let end {
            steps.removeAll { $0.afterMilliseconds > end.afterMilliseconds || $0.status.isFinal }
            steps.append(end)
        }
        self.steps = steps
    }

    /// The step that a call of this age has reached. The first answer always shows the first one.
    func step(ageMicroseconds: Microseconds, justCreated: Bool = false) -> Step {
        if justCreated { return steps[0] }
        return steps.last { Int64($0.afterMilliseconds) * 1000 <= ageMicroseconds } ?? steps[0]
    }

    /// When it reaches that status; nil if it never does.
    func milliseconds(of status: CallStatus) -> Int? {
        steps.first { $0.status == status }?.afterMilliseconds
    }

    /// How long it was connected. A call that was answered lasts a second at least.
    var durationSeconds: Int {
        guard let answered = milliseconds(of: .inProgress), let last = steps.last, last.status.isFinal else { return 0 }
        return max((last.afterMilliseconds - answered + 999) / 1000, 1)
    }
}
