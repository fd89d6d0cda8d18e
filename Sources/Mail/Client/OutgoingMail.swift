internal import EventLoop
internal import OTP

/// One mail, or one check of a server, on its way. Wipes the content at its end, since it holds a code.
///
/// Owned by one `MailPool` or one of its connections, and touched on their loop's thread alone.
final class OutgoingMail {
    enum Owner {
        case mail(tag: Int)
        /// Nothing is sent: the connection and the login are enough.
        case check(CheckedContinuation<Result<Void, MailError>, Never>)
    }

    let server: MailServer
    let owner: Owner
    /// MAIL FROM and RCPT TO, with their line breaks.
    let commands: (sender: [UInt8], recipient: [UInt8])
    /// Whether an address needs SMTPUTF8.
    let isInternational: Bool
    var content: [UInt8]
    /// The last instant at which the dot may leave.
    let leaseEnd: Instant
    /// The last instant of the whole mail.
    let deadline: Instant

    init(
        _ server: MailServer, tag: Int, from sender: MailAddress, to recipient: MailAddress, leaseEnd: Instant,
        deadline: Instant, fill: (inout [UInt8]) -> Void
    ) {
        self.server = server
        owner = .mail(tag: tag)
        isInternational = !sender.isASCII || !recipient.isASCII
        let parameter = isInternational ? " SMTPUTF8" : ""
        commands = (
            Array("MAIL FROM:<\(sender.text)>\(parameter)\r\n".utf8), Array("RCPT TO:<\(recipient.text)>\r\n".utf8)
        )
        content = []
        // A usual mail has 2,000 bytes, an Arabic one 6,000. Growing the array would leave a copy of the code behind.
        content.reserveCapacity(16_384)
        fill(&content)
        precondition(!content.isEmpty, "a mail needs a content")
        DotStuffing.apply(to: &content)
        self.leaseEnd = leaseEnd
        self.deadline = deadline
    }

    init(
        checking server: MailServer, deadline: Instant,
        _ continuation: CheckedContinuation<Result<Void, MailError>, Never>
    ) {
        self.server = server
        owner = .check(continuation)
        isInternational = false
        (commands, content) = (([], []), [])
        (leaseEnd, self.deadline) = (Instant(nanoseconds: .max), deadline)
    }

    deinit { wipe(&content) }

    /// When it must be ended at the latest, as long as the dot has not left.
    var due: Instant { min(deadline, leaseEnd + Instant.Duration(nanoseconds: 1)) }

    /// Why it is ended when it is due.
    func overdueReason(at now: Instant, isConnecting: Bool = false) -> MailNotSentReason {
        if leaseEnd < now { return .leaseEnded }
        return isConnecting ? .connectTimedOut : .timedOut
    }
}
