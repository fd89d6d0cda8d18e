import EventLoop
import HTTP
import Queue

/// The job sender of a worker: for the channels of Twilio, or for e-mail.
///
/// E-mail has a worker of its own, because an outage of Twilio must not hold it up, nor the other way round. The path of
/// a send is compiled for each, so that no send pays for the choice.
enum JobSenders {
    case twilio(JobSender<TwilioChannels<HTTPClient>>)
    case mail(JobSender<MailChannel>)

    /// Takes over a claim's jobs, and hands over those that may go now.
    func take(_ claimed: ClaimedJobs, claimedAt: Instant) {
        switch self {
        case .twilio(let sender): sender.take(claimed, claimedAt: claimedAt)
        case .mail(let sender): sender.take(claimed, claimedAt: claimedAt)
        }
    }

    /// Hands over the jobs that may go now.
    func pump() {
        switch self {
        case .twilio(let sender): sender.pump()
        case .mail(let sender): sender.pump()
        }
    }

    /// Gives back the jobs that were claimed and not handed over.
    func releaseWaiting() {
        switch self {
        case .twilio(let sender): sender.releaseWaiting()
        case .mail(let sender): sender.releaseWaiting()
        }
    }

    /// Credentials have changed: requests handed over from now on use these endpoints.
    func use(messages: HTTP.Endpoint, calls: HTTP.Endpoint) {
        guard case .twilio(let sender) = self else { return }
        sender.channel.use(messages: messages, calls: calls)
        sender.credentialsSince = .now()
    }
}
