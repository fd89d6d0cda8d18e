/// Twilio's own word for how far a message or a call got, verbatim: `message_status` in `otp.delivery_status`.
///
/// Twilio adds statuses without notice, so any word is accepted. The words named here are those of
/// `message_enum_status` and `call_enum_status` in Twilio's API description. `otp.status_rank` in SQL alone decides which
/// status may follow which, because callbacks come out of order, and to backends as well as to workers.
public struct MessageStatus: RawRepresentable, Sendable, Hashable {
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    public static let scheduled = MessageStatus(rawValue: "scheduled")
    public static let accepted = MessageStatus(rawValue: "accepted")
    public static let queued = MessageStatus(rawValue: "queued")
    public static let sending = MessageStatus(rawValue: "sending")
    /// May be final, because not every carrier sends receipts.
    public static let sent = MessageStatus(rawValue: "sent")
    public static let delivered = MessageStatus(rawValue: "delivered")
    public static let undelivered = MessageStatus(rawValue: "undelivered")
    public static let failed = MessageStatus(rawValue: "failed")
    public static let canceled = MessageStatus(rawValue: "canceled")
    public static let partiallyDelivered = MessageStatus(rawValue: "partially_delivered")
    public static let read = MessageStatus(rawValue: "read")
    /// For inbound messages only, like `received`.
    public static let receiving = MessageStatus(rawValue: "receiving")
    public static let received = MessageStatus(rawValue: "received")

    // A call begins as `queued`, as a message does, and may end as `failed` (it could not be placed) or `canceled`.

    /// Twilio has begun to place the call. It appears in callbacks only.
    public static let initiated = MessageStatus(rawValue: "initiated")
    public static let ringing = MessageStatus(rawValue: "ringing")
    /// Answered: the event that a request names `answered`.
    public static let inProgress = MessageStatus(rawValue: "in-progress")
    /// Answered and ended. A voice mail counts as an answer. Final.
    public static let completed = MessageStatus(rawValue: "completed")
    /// The line was busy, or the user rejected the call. Final.
    public static let busy = MessageStatus(rawValue: "busy")
    /// The call was not answered in time. Final.
    public static let noAnswer = MessageStatus(rawValue: "no-answer")

    /// The statuses after which a call changes no more.
    public static let finalOfCalls: Set<MessageStatus> = [.completed, .busy, .noAnswer, .failed, .canceled]
}

extension MessageStatus: CustomStringConvertible {
    public var description: String { rawValue }
}
