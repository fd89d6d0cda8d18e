import EventLoop
import OTP
import Queue

/// One way for codes to reach their users: turns a job into a request, and the request's end into an outcome.
///
/// `JobSender` knows when a job may go and what its end means. The channel knows the content, the address and the
/// transport of a request, and what an answer means. `TwilioChannels` picks among those of Twilio.
protocol SendChannel {
    /// A request that is being prepared.
    associatedtype Draft: ChannelDraft
    /// The end of a request, as the transport tells it.
    associatedtype Ended

    /// Finds the parts of a job's request.
    ///
    /// - Throws: `Unsendable` if the job has to end, or to wait.
    func draft(_ job: ClaimedJob) throws(Unsendable) -> Draft

    /// Writes the message with its code into `text`, which is empty; the caller wipes it.
    ///
    /// - Throws: `Unsendable` if it cannot be sent like this. What was written is wiped then too.
    func render(_ draft: Draft, of job: ClaimedJob, code: Code, lifeLeft: Duration, into text: inout [UInt8])
        throws(Unsendable)

    /// Hands the request over; its end comes as a completion with `tag`. `text` is what was rendered.
    func post(_ draft: Draft, of job: WaitingJob, code: Code, text: [UInt8], lifeLeft: Duration, tag: Int)

    /// The tag of the request that has ended.
    func tag(of ended: Ended) -> Int

    /// The outcome of a request of `job`.
    func outcome(of ended: Ended, for job: ClaimedJob) -> OTP.Outcome

    /// The HTTP status of the answer, for spans; nil without an answer, and of a mail.
    func httpStatus(of ended: Ended) -> Int?

    /// How many requests at a time the server counted, if its answer says so.
    func seenAtATime(by ended: Ended) -> Int?

    /// Uses no connection again that is open now, because an answer was about another message.
    func retireConnections()
}

/// What every draft tells.
protocol ChannelDraft {
    /// The message's sender, as `otp.messages.sender` names it.
    var sender: String { get }
    /// The row of `otp.sender_rates` that limits it.
    var rateKey: String { get }
}

extension ChannelDraft {
    var rateKey: String { sender }
}
