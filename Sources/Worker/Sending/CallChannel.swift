import EventLoop
import HTTP
import OTP
import Queue
import Twilio

/// Codes by voice call, through Twilio's Calls API: the call says the code three times.
struct CallChannel<Client: PostClient>: SendChannel {
    struct Draft: ChannelDraft {
        let recipient: PhoneNumber
        let words: CallWords
        let form: CreateCall

        var sender: String { form.sender.number }
        /// Twilio starts one call a second per account, whatever number it comes from.
        var rateKey: String { Channel.call.rawValue }
    }

    private let client: Client
    /// Where calls are created, with the credentials in force.
    var endpoint: Client.Endpoint
    private let catalog: Catalog
    private let pauses: PauseBook

    init(_ client: Client, endpoint: Client.Endpoint, catalog: Catalog, pauses: PauseBook) {
        (self.client, self.endpoint, self.catalog, self.pauses) = (client, endpoint, catalog, pauses)
    }

    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft {
        let recipient = try pauses.recipient(of: job)
        guard let form = catalog.channelSenders.call(country: job.country) else {
            catalog.changed()
            throw Unsendable.noSender(for: job)
        }
        let text = catalog.templates.callText(purpose: job.purpose, locale: job.locale)
        return Draft(recipient: recipient, words: CallWords(locale: job.locale, callText: text), form: form)
    }

    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8])
        throws(Unsendable)
    {
        TwiML.write(
            draft.words, app: catalog.appName(of: job.purpose), code: code,
            minutes: Template.minutes(lifeLeft: lifeLeft), into: &text)
        guard TwiML.fits(utf8: text) else {
            throw Unsendable(
                .failed, error: "What the call says is longer than the \(TwiML.limit) characters that Twilio accepts.",
                remedy: "Shorten call_text for \(job.purpose), \(job.locale) in otp.templates.",
                errorClass: ErrorClass.badJob.rawValue)
        }
    }

    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int) {
        client.post(endpoint, tag: tag, leaseEnd: job.trustedUntil) { buffer in
            let isWritten = draft.form.write(
                into: &buffer, to: draft.recipient, twiml: text.span, lifeLeft: lifeLeft, job: job.job.id,
                attempt: job.job.attempt)
            precondition(isWritten, "a call with less than a second to live was handed over")
        }
    }

    func retireConnections() { client.retireConnections() }
}
