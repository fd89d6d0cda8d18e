/// The final status of a message.
enum Outcome: UInt8, Equatable {
    case delivered
    case undelivered
    case failed
    /// Ends at `sent`, as with a carrier that sends no receipts.
    case sent
    /// Delivered and then read. Only WhatsApp reports that.
    case read
}

/// Twilio's statuses of a message.
enum MessageStatus: String, Equatable {
    case accepted, queued, sending, sent, delivered, undelivered, failed, read
}

/// The statuses of one message in order. A pure function of its outcome, its sender and the delays, so that a message
/// advances without any running code.
struct StatusTimeline: Equatable {
    typealias Step = TimedStatus<MessageStatus>

    let steps: [Step]

    /// `viaService` starts at `accepted`, as messages of a messaging service do; others start at `queued`.
    init(outcome: Outcome, viaService: Bool, delays: StatusDelays) {
        var steps = [Step(status: viaService ? .accepted : .queued, afterMilliseconds: 0)]
        let sending = delays.sendingMilliseconds
        if viaService { steps.append(Step(status: .queued, afterMilliseconds: sending / 2)) }
        steps.append(Step(status: .sending, afterMilliseconds: sending))
        switch outcome {
        case .delivered:
            steps.append(Step(status: .sent, afterMilliseconds: delays.sentMilliseconds))
            steps.append(Step(status: .delivered, afterMilliseconds: delays.finalMilliseconds))
        case .undelivered:
            steps.append(Step(status: .sent, afterMilliseconds: delays.sentMilliseconds))
            steps.append(Step(status: .undelivered, afterMilliseconds: delays.finalMilliseconds))
        case .failed:
            steps.append(Step(status: .failed, afterMilliseconds: delays.finalMilliseconds))
        case .sent:
            steps.append(Step(status: .sent, afterMilliseconds: delays.sentMilliseconds))
        case .read:
            steps.append(Step(status: .sent, afterMilliseconds: delays.sentMilliseconds))
            steps.append(Step(status: .delivered, afterMilliseconds: delays.finalMilliseconds))
            steps.append(Step(status: .read, afterMilliseconds: 2 * delays.finalMilliseconds))
        }
        self.steps = steps
    }

    /// The step that a message of this age has reached. With `justCreated` it is the first, because the first answer
    /// always shows the first status, even with delays of zero.
    func step(ageMicroseconds: Microseconds, justCreated: Bool = false) -> Step {
        if justCreated { return steps[0] }
        return steps.last { Int64($0.afterMilliseconds) * 1000 <= ageMicroseconds } ?? steps[0]
    }

    /// The age at which the message was sent; nil if it never is.
    var sentAfterMilliseconds: Int? {
        steps.first { $0.status == .sent }?.afterMilliseconds
    }
}
