/// The part of the sink of e-mails that is not about sockets.
extension Simulator {
    /// The fault of a step. Counts it, and the mails that clients begin.
    func mailFault(_ step: MailStep, to: String?) -> MailFault? {
        if step == .mail { statistics[.email].creates += 1 }
        let fault = faults.mail.fault(step, to: to)
        if let fault { statistics.count(fault: "smtp_" + fault.name) }
        return fault
    }

    /// Counts a reply that ends a mail.
    func countMail(_ step: MailStep?, code: Int) {
        switch step {
        case .mail, .rcpt, .data, .final: break
        case .connect, .ehlo, .starttls, .auth, .content, nil: return
        }
        switch code {
        case 400..<500: statistics[.email].tooManyRequests += 1
        case 500..<600: statistics[.email].refused += 1
        default: break
        }
    }

    /// Keeps a mail.
    func deliver(_ envelope: SMTPSession.Envelope, at now: Microseconds) {
        let content = MailContent(envelope.content)
        mails.add(
            Mail(sequence: mails.next, receivedAt: now, from: envelope.from, to: envelope.to, content: content))
        statistics[.email].created += 1
        if !content.messageID.isEmpty { messageIDs[content.messageID, default: 0] += 1 }
    }
}
