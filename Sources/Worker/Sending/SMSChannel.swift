import EventLoop
import HTTP
import OTP
import Queue
import Twilio

/// Codes by SMS, through Twilio's Messages API.
struct SMSChannel<Client: PostClient>: SendChannel {
    struct Draft: ChannelDraft {
        let recipient: PhoneNumber
        let template: Template
        let form: CreateMessage

        var sender: String { form.sender.text }
    }

    private let client: Client
    /// Where messages are created, with the credentials in force.
    var endpoint: Client.Endpoint
    private let catalog: Catalog
    private let pauses: PauseBook

    init(_ client: Client, endpoint: Client.Endpoint, catalog: Catalog, pauses: PauseBook) {
        self.client = client
        self.endpoint = endpoint
        self.catalog = catalog
        self.pauses = pauses
    }

    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft {
        let recipient = try pauses.recipient(of: job)
        let template: Template
        do {
            template = try catalog.templates.template(purpose: job.purpose, locale: job.locale)
        } catch {
            // The database accepts no verification without a template, so this copy is out of date, or the template was
            // deleted.
            catalog.changed()
            throw Unsendable.noText(error)
        }
        do {
            return Draft(
                recipient: recipient, template: template,
                form: try catalog.senders.form(purpose: job.purpose, country: job.country))
        } catch {
            // The table's trigger refuses such a sender, so it was written around the trigger. It may be corrected in
            // the same way.
            catalog.changed()
            throw Unsendable(
                .retry, delay: .seconds(2), error: Sentence.whole("\(error)"), remedy: error.remedy)
        }
    }

    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8])
        throws(Unsendable)
    {
        draft.template.render(
            into: &text, app: catalog.appName(of: job.purpose), code: code,
            minutes: Template.minutes(lifeLeft: lifeLeft))
        guard MessageLength.fits(utf8: text) else {
            throw Unsendable(
                .failed,
                error: "The text is longer than the \(MessageLength.limit) characters that Twilio accepts.",
                remedy:
                    "Shorten the template for \(job.purpose), \(job.locale) in otp.templates. {app} may occur in it several times.",
                errorClass: ErrorClass.badJob.rawValue)
        }
    }

    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int) {
        client.post(endpoint, tag: tag, leaseEnd: job.trustedUntil) { buffer in
            // It fails only with less than a second to live, and `JobSender` hands over no such job.
            let isWritten = draft.form.write(
                into: &buffer, to: draft.recipient, body: text.span, lifeLeft: lifeLeft, job: job.job.id,
                attempt: job.job.attempt)
            precondition(isWritten, "a message with less than a second to live was handed over")
        }
    }

    func retireConnections() { client.retireConnections() }
}

/// What an answer over HTTP means is the same for all channels of Twilio.
extension SendChannel where Ended == Completion {
    func tag(of completion: Completion) -> Int { completion.tag }

    func outcome(of completion: Completion, for job: ClaimedJob) -> OTP.Outcome {
        OTP.Outcome(completion, recipient: try? job.recipient.get(), channel: job.channel)
    }

    func httpStatus(of completion: Completion) -> Int? {
        completion.receivedStatus == 0 ? nil : completion.receivedStatus
    }

    /// How many requests at a time Twilio counted, by the header of its answer.
    func seenAtATime(by completion: Completion) -> Int? {
        if case .response(_, _, _, let seen) = completion.outcome { seen } else { nil }
    }
}

/// What the channel needs of the HTTP client. Tests use a stand-in.
protocol PostClient {
    /// A URL with the headers of its requests.
    associatedtype Endpoint

    func post(_ endpoint: Endpoint, tag: Int, leaseEnd: Instant, fill: (inout [UInt8]) -> Void)
    func retireConnections()
}

extension HTTPClient: PostClient {}
