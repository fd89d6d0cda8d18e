/// The dialogue that hands over one mail on a connection that is logged in. Decides purely: it takes a reply, and
/// returns what to do next.
///
/// The server can have accepted the mail only after the dot, a line of its own that ends the content. So an end before
/// the dot is certain, whatever has been lost, and an end after it without a reply is unknown.
struct SMTPDialogue {
    enum Step: Equatable {
        /// The connection's last mail was refused halfway, and its remains are discarded (RSET).
        case reset
        case sender
        case recipient
        case data
        /// The content is on its way, and the dot has not left.
        case content
        /// The dot may have left.
        case dot
    }

    enum Action: Equatable {
        case sendReset
        case sendSender
        case sendRecipient
        case sendData
        case sendContent
        case finish(End, Connection)
    }

    /// How a reply ends the mail.
    enum End: Equatable {
        case accepted(SMTPReply)
        case refused(SMTPReply, MailRefusal.Stage)
        /// The reply makes no sense at this step.
        case garbled
        /// The server ended a connection that had idled. The mail may be sent on another one.
        case stale
    }

    /// What becomes of the connection.
    enum Connection: Equatable {
        case keep
        /// It is kept, and the next mail begins with RSET.
        case reset
        case close
    }

    private(set) var step: Step
    /// Whether the server has said nothing since the connection idled.
    private var isUnproven: Bool

    /// A mail on a connection that may have carried others (`isReused`), the last of which was refused halfway
    /// (`needsReset`).
    init(isReused: Bool, needsReset: Bool) {
        step = needsReset ? .reset : .sender
        isUnproven = isReused
    }

    /// Whether the dot may have left.
    var mayBeAccepted: Bool { step == .dot }

    /// Whether a lost connection says nothing about the mail, which may be sent on another one.
    var isStaleIfLost: Bool { isUnproven && !mayBeAccepted }

    var first: Action { step == .reset ? .sendReset : .sendSender }

    /// The dot is about to be handed over.
    mutating func dotLeaves() {
        precondition(step == .content)
        step = .dot
    }

    mutating func take(_ reply: SMTPReply) -> Action {
        // The server is closing the connection (RFC 5321 3.8).
        if reply.code == 421 {
            return .finish(isUnproven ? .stale : .refused(reply, stage), .close)
        }
        let kind = reply.code / 100
        switch step {
        case .reset:
            isUnproven = false
            guard kind == 2 else { return .finish(.stale, .close) }
            step = .sender
            return .sendSender
        case .sender:
            isUnproven = false
            guard kind == 2 else { return refuse(reply, .reset) }
            step = .recipient
            return .sendRecipient
        case .recipient:
            guard kind == 2 else { return refuse(reply, .reset) }
            step = .data
            return .sendData
        case .data:
            guard reply.code == 354 else { return refuse(reply, .reset) }
            step = .content
            return .sendContent
        case .content:
            // The server must be silent until the dot. It may give up early, and no dot will follow.
            return refuse(reply, .close)
        case .dot:
            return kind == 2 ? .finish(.accepted(reply), .keep) : refuse(reply, .keep)
        }
    }

    private func refuse(_ reply: SMTPReply, _ connection: Connection) -> Action {
        reply.code >= 400 ? .finish(.refused(reply, stage), connection) : .finish(.garbled, .close)
    }

    private var stage: MailRefusal.Stage {
        switch step {
        case .reset, .sender: .sender
        case .recipient: .recipient
        case .data: .data
        case .content, .dot: .content
        }
    }
}
