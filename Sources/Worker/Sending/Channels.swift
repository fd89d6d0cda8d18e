import HTTP
import Mail
import OTP
import Queue

/// All channels of one worker: those of Twilio, or e-mail. Picks among them by the job.
///
/// E-mail has a worker of its own, because an outage of Twilio must not hold it up, nor the other way round.
enum Channels: SendChannel {
    case twilio(TwilioChannels<HTTPClient>)
    case mail(MailChannel)

    enum Draft: ChannelDraft {
        case twilio(TwilioChannels<HTTPClient>.Draft)
        case mail(MailChannel.Draft)

        var sender: String {
            switch self {
            case .twilio(let draft): draft.sender
            case .mail(let draft): draft.sender
            }
        }

        var rateKey: String {
            switch self {
            case .twilio(let draft): draft.rateKey
            case .mail(let draft): draft.rateKey
            }
        }
    }

    enum Ended {
        case http(Completion)
        case mail(MailCompletion)
    }

    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft {
        switch self {
        case .twilio(let channels): .twilio(try channels.draft(job))
        case .mail(let channel): .mail(try channel.draft(job))
        }
    }

    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8])
        throws(Unsendable)
    {
        switch (self, draft) {
        case (.twilio(let channels), .twilio(let draft)):
            try channels.render(draft, of: job, code: code, lifeLeft: lifeLeft, into: &text)
        case (.mail(let channel), .mail(let draft)):
            channel.render(draft, of: job, code: code, lifeLeft: lifeLeft, into: &text)
        case (.twilio, .mail), (.mail, .twilio): preconditionFailure("a draft of another worker's channel")
        }
    }

    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int) {
        switch (self, draft) {
        case (.twilio(let channels), .twilio(let draft)):
            channels.post(draft, of: job, code: code, text: text, lifeLeft: lifeLeft, tag: tag)
        case (.mail(let channel), .mail(let draft)):
            channel.post(draft, of: job, code: code, text: text, lifeLeft: lifeLeft, tag: tag)
        case (.twilio, .mail), (.mail, .twilio): preconditionFailure("a draft of another worker's channel")
        }
    }

    func tag(of ended: Ended) -> Int {
        switch ended {
        case .http(let completion): completion.tag
        case .mail(let completion): completion.tag
        }
    }

    func outcome(of ended: Ended, for job: ClaimedJob) -> OTP.Outcome {
        switch (self, ended) {
        case (.twilio(let channels), .http(let completion)): channels.outcome(of: completion, for: job)
        case (.mail(let channel), .mail(let completion)): channel.outcome(of: completion, for: job)
        case (.twilio, .mail), (.mail, .http): preconditionFailure("an end of another worker's request")
        }
    }

    func seenAtATime(by ended: Ended) -> Int? {
        switch ended {
        case .http(let completion): completion.seenAtATime
        case .mail: nil
        }
    }

    func retireConnections() {
        if case .twilio(let channels) = self { channels.retireConnections() }
    }
}

/// The channels that go through Twilio: SMS, WhatsApp and calls.
struct TwilioChannels<Client: PostClient>: SendChannel {
    var sms: SMSChannel<Client>
    var whatsApp: WhatsAppChannel<Client>
    var call: CallChannel<Client>

    init(
        _ client: Client, messages: Client.Endpoint, calls: Client.Endpoint, catalog: Catalog, pauses: PauseBook
    ) {
        sms = SMSChannel(client, endpoint: messages, catalog: catalog, pauses: pauses)
        whatsApp = WhatsAppChannel(client, endpoint: messages, catalog: catalog, pauses: pauses)
        call = CallChannel(client, endpoint: calls, catalog: catalog, pauses: pauses)
    }

    /// Credentials have changed: requests handed over from now on use these.
    mutating func use(messages: Client.Endpoint, calls: Client.Endpoint) {
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

    func tag(of completion: Completion) -> Int { completion.tag }

    func outcome(of completion: Completion, for job: ClaimedJob) -> OTP.Outcome {
        OTP.Outcome(completion, recipient: try? job.recipient.get(), channel: job.channel)
    }

    func seenAtATime(by completion: Completion) -> Int? { completion.seenAtATime }

    func retireConnections() { sms.retireConnections() }
}
