/// Twilio's own word for how far a message got, verbatim: `message_status` in `otp.delivery_status`.
///
/// Twilio adds words without notice, so any word is a status; those that are known have a rank. The words are those of
/// `message_enum_status` in Twilio's API description.
public struct MessageStatus: RawRepresentable, Sendable, Hashable {
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    public static let scheduled = MessageStatus(rawValue: "scheduled")
    public static let accepted = MessageStatus(rawValue: "accepted")
    public static let queued = MessageStatus(rawValue: "queued")
    public static let sending = MessageStatus(rawValue: "sending")
    /// May be final: not every carrier sends receipts.
    public static let sent = MessageStatus(rawValue: "sent")
    public static let delivered = MessageStatus(rawValue: "delivered")
    public static let undelivered = MessageStatus(rawValue: "undelivered")
    public static let failed = MessageStatus(rawValue: "failed")
    public static let canceled = MessageStatus(rawValue: "canceled")
    public static let partiallyDelivered = MessageStatus(rawValue: "partially_delivered")
    public static let read = MessageStatus(rawValue: "read")
    /// Inbound messages only.
    public static let receiving = MessageStatus(rawValue: "receiving")
    public static let received = MessageStatus(rawValue: "received")

    public static let known: [MessageStatus] = [
        .scheduled, .accepted, .queued, .sending, .sent, .delivered, .undelivered, .failed, .canceled,
        .partiallyDelivered, .read, .receiving, .received,
    ]

    /// How far along it is. Statuses of one rank exclude each other: the first to arrive stays.
    ///
    /// A word nobody knows ranks with `sending`: it replaces the early ones and never a `sent` or an end.
    public var rank: Int {
        switch self {
        case .scheduled: 0
        case .accepted: 1
        case .queued, .receiving: 2
        case .sending: 3
        case .sent: 4
        case .partiallyDelivered: 5
        case .delivered, .undelivered, .failed, .canceled, .received: 6
        case .read: 7
        default: 3
        }
    }

    /// Whether nothing comes after it. Where it is `sent`, see ``mayBeFinal``.
    public var isFinal: Bool { rank >= 6 }

    /// Whether it may well be the last: polling such a message has an end.
    public var mayBeFinal: Bool { rank >= 4 }

    /// Whether a message that was at `earlier` may move to this. Callbacks come out of order and more than once.
    public func advances(_ earlier: MessageStatus?) -> Bool {
        guard let earlier else { return true }
        // Only what was delivered can be read.
        if self == .read { return earlier.rank < 6 || earlier == .delivered }
        return rank > earlier.rank
    }
}

extension MessageStatus: CustomStringConvertible {
    public var description: String { rawValue }
}
