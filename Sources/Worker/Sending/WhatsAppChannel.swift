import EventLoop
import HTTP
import OTP
import Queue
import Twilio

/// Codes by WhatsApp, through Twilio's Messages API: an approved template whose variable is the code.
struct WhatsAppChannel<Client: PostClient>: SendChannel {
    struct Draft: ChannelDraft {
        let recipient: PhoneNumber
        let content: ContentSID
        let form: CreateWhatsAppMessage

        var sender: String { form.sender.text }
    }

    private let client: Client
    /// Where messages are created, with the credentials in force.
    var endpoint: Client.Endpoint
    private let catalog: Catalog
    private let pauses: PauseBook

    init(_ client: Client, endpoint: Client.Endpoint, catalog: Catalog, pauses: PauseBook) {
        (self.client, self.endpoint, self.catalog, self.pauses) = (client, endpoint, catalog, pauses)
    }

    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft {
        let recipient = try pauses.recipient(of: job)
        guard let content = catalog.templates.contentSID(purpose: job.purpose, locale: job.locale) else {
            catalog.changed()
            throw Unsendable.missing(
                for: job, "The text for \(job.purpose), \(job.locale) has no approved template of WhatsApp.",
                remedy: "Set content_sid in otp.templates.")
        }
        guard let form = catalog.channelSenders.whatsApp(country: job.country) else {
            catalog.changed()
            throw Unsendable.noSender(for: job)
        }
        return Draft(recipient: recipient, content: content, form: form)
    }

    /// The template is WhatsApp's, so there is nothing to render.
    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8]) {}

    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int) {
        client.post(endpoint, tag: tag, leaseEnd: job.trustedUntil) { buffer in
            let isWritten = draft.form.write(
                into: &buffer, to: draft.recipient, content: draft.content, code: code, lifeLeft: lifeLeft,
                job: job.job.id, attempt: job.job.attempt)
            precondition(isWritten, "a message with less than a second to live was handed over")
        }
    }

    func retireConnections() { client.retireConnections() }
}
