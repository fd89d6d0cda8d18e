import HTTP
import OTP
import Queue

/// The channels that go through Twilio: SMS, WhatsApp and calls. Picks among them by the job.
///
/// A class, because a struct of three channels would be copied for each call.
final class TwilioChannels<Client: PostClient>: SendChannel {
    private var sms: SMSChannel<Client>
    private var whatsApp: WhatsAppChannel<Client>
    private var call: CallChannel<Client>

    init(
        _ client: Client, messages: Client.Endpoint, calls: Client.Endpoint, catalog: Catalog, pauses: PauseBook
    ) {
        sms = SMSChannel(client, endpoint: messages, catalog: catalog, pauses: pauses)
        whatsApp = WhatsAppChannel(client, endpoint: messages, catalog: catalog, pauses: pauses)
        call = CallChannel(client, endpoint: calls, catalog: catalog, pauses: pauses)
    }

    /// Credentials have changed: requests handed over from now on use these.
    func use(messages: Client.Endpoint, calls: Client.Endpoint) {
        (sms.endpoint, whatsApp.endpoint, call.endpoint) = (messages, messages, calls)
    }

    enum Draft: ChannelDraft {
        case sms(SMSChannel<Client>.Draft)
        case whatsApp(WhatsAppChannel<Client>.Draft)
        case call(CallChannel<Client>.Draft)

        var sender: String {
            switch self {
            case .sms(let draft): draft.sender
            case .whatsApp(let draft): draft.sender
            case .call(let draft): draft.sender
            }
        }

        var rateKey: String {
            switch self {
            case .sms(let draft): draft.rateKey
            case .whatsApp(let draft): draft.rateKey
            case .call(let draft): draft.rateKey
            }
        }
    }

    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft {
        switch job.channel {
        case .sms: .sms(try sms.draft(job))
        case .whatsapp: .whatsApp(try whatsApp.draft(job))
        case .call: .call(try call.draft(job))
        // A worker claims only jobs of its own channels.
        case .email: throw Unsendable(.release)
        }
    }

    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8])
        throws(Unsendable)
    {
        switch draft {
        case .sms(let draft): try sms.render(draft, of: job, code: code, lifeLeft: lifeLeft, into: &text)
        case .whatsApp(let draft): whatsApp.render(draft, of: job, code: code, lifeLeft: lifeLeft, into: &text)
        case .call(let draft): try call.render(draft, of: job, code: code, lifeLeft: lifeLeft, into: &text)
        }
    }

    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int) {
        switch draft {
        case .sms(let draft): sms.post(draft, of: job, code: code, text: text, lifeLeft: lifeLeft, tag: tag)
        case .whatsApp(let draft): whatsApp.post(draft, of: job, code: code, text: text, lifeLeft: lifeLeft, tag: tag)
        case .call(let draft): call.post(draft, of: job, code: code, text: text, lifeLeft: lifeLeft, tag: tag)
        }
    }

    func retireConnections() { sms.retireConnections() }
}
