import EventLoop
import Glibc
public import Mail
import OTP
import Queue

/// Codes by e-mail, through a mail server.
struct MailChannel: SendChannel {
    struct Draft: ChannelDraft {
        let recipient: MailAddress
        let subject: Template?
        let body: Template

        var sender: String { Channel.email.rawValue }
    }

    private let client: MailClient
    private let transport: MailTransport
    private let catalog: Catalog
    private let pauses: PauseBook

    init(_ client: MailClient, _ transport: MailTransport, catalog: Catalog, pauses: PauseBook) {
        (self.client, self.transport, self.catalog, self.pauses) = (client, transport, catalog, pauses)
    }

    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft {
        _ = try pauses.recipient(of: job)
        let recipient: MailAddress
        do throws(MailAddress.FormError) {
            recipient = try MailAddress(job.email ?? "")
        } catch {
            throw Unsendable(
                .failed, error: Sentence.whole("\(error)"), remedy: "Ask the user for another e-mail address.",
                errorClass: ErrorClass.permanentRecipient.rawValue)
        }
        do {
            let texts = try catalog.templates.mail(purpose: job.purpose, locale: job.locale)
            return Draft(recipient: recipient, subject: texts.subject, body: texts.body)
        } catch {
            catalog.changed()
            throw Unsendable.noText(error)
        }
    }

    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8]) {
        draft.body.render(
            into: &text, app: catalog.appName(of: job.purpose), code: code,
            minutes: Template.minutes(lifeLeft: lifeLeft))
    }

    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int) {
        let app = catalog.appName(of: job.job.purpose)
        var subject: [UInt8] = []
        // A growing array would leave a copy of the code behind.
        subject.reserveCapacity(1024)
        if let template = draft.subject {
            template.render(into: &subject, app: app, code: code, minutes: Template.minutes(lifeLeft: lifeLeft))
        } else {
            subject.append(contentsOf: app)
        }
        let message = MailMessage(
            from: transport.sender, to: draft.recipient, messageID: transport.messageID(of: job.job),
            date: Int64(Glibc.time(nil)), locale: job.job.locale)
        client.send(
            transport.server, tag: tag, leaseEnd: job.trustedUntil, from: transport.sender.address, to: draft.recipient
        ) { buffer in
            message.write(subject: subject.span, text: text.span, into: &buffer)
        }
        for index in subject.indices { subject[index] = 0 }
    }

    func tag(of completion: MailCompletion) -> Int { completion.tag }

    func outcome(of completion: MailCompletion, for job: ClaimedJob) -> OTP.Outcome {
        switch completion.outcome {
        case .accepted: .accepted(MessageSID(mailOf: job.id, requestedAt: job.requestedAt), status: .sent)
        case .refused(let refusal): .rejected(Rejection(refusal))
        case .notSent(let reason):
            switch reason {
            case .leaseEnded: .notSent(.leaseTooShort, retryAfter: nil)
            case .noDescriptor(let errno): .notSent(.noDescriptor(isSystems: errno == ENFILE), retryAfter: nil)
            default: .notSent(.mailServer("\(reason)", remedy: reason.remedy), retryAfter: nil)
            }
        case .unknown(let reason): .unknown(.mailServer("\(reason)"))
        }
    }

    func httpStatus(of completion: MailCompletion) -> Int? { nil }

    func seenAtATime(by completion: MailCompletion) -> Int? { nil }

    func retireConnections() {}
}

extension Rejection {
    /// What a mail server's refusal means.
    init(_ refusal: MailRefusal) {
        let effect: Effect =
            switch refusal.kind {
            case .authentication, .tlsRequired, .senderRefused, .relayDenied: .pauseChannel
            case .throttled: .throttle
            case .greylisted, .unavailable: refusal.isPermanent ? .fail : .retry
            case .invalidRecipient, .mailboxFull, .contentRefused, .tooLarge, .internationalAddress, .other:
                refusal.isPermanent ? .fail : .retry
            }
        let errorClass: ErrorClass =
            switch refusal.kind {
            case .authentication, .tlsRequired, .senderRefused, .relayDenied: .pauseChannel
            case .throttled: .throttle
            case .invalidRecipient, .mailboxFull, .internationalAddress: .permanentRecipient
            case .contentRefused, .tooLarge: .content
            case .greylisted, .unavailable, .other: refusal.isPermanent ? .badJob : .retrySafe
            }
        self.init(
            effect,
            why: FailureCause(
                code: refusal.code, errorClass: errorClass, error: "\(refusal)", remedy: refusal.remedy))
    }
}

/// The mail server of a worker, and the sender of its mails.
public struct MailTransport: Sendable {
    public let server: MailServer
    public let sender: MailSender

    public init(server: MailServer, sender: MailSender) {
        (self.server, self.sender) = (server, sender)
    }

    /// The same for every attempt of a job, so that a mail server or a reader can tell a repetition.
    func messageID(of job: ClaimedJob) -> MailMessageID {
        let local = "\(MessageSID(mailOf: job.id, requestedAt: job.requestedAt))"
        guard let id = MailMessageID(local: local, domain: sender.address.domain) else {
            preconditionFailure("a SID and the domain of an address make a Message-ID")
        }
        return id
    }
}
