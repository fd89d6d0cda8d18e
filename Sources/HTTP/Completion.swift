/// How one POST ended.
public struct Completion: Sendable {
    /// What was passed to `post`.
    public var tag: Int
    /// How it ended.
    public var outcome: TransferResult
    /// Whatever came of an answer's body, complete or not: evidence even where the outcome is unknown. Readable until
    /// the completion handler returns.
    public var received: AnswerBody
    /// The status of the answer whose head arrived, 0 without one.
    public var receivedStatus: Int
    /// What that head says of the program that answered; only where it is no success.
    public var origin: AnswerOrigin

    /// The three ways for a POST to end.
    public enum TransferResult: Sendable {
        /// A complete and well-formed answer, whatever it says.
        ///
        /// `status` is 200...599; `body` can be read until the completion handler returns; `retryAfter` is in seconds
        /// (RFC 9110 10.2.3, both forms); `concurrentRequests` is Twilio's `Twilio-Concurrent-Requests`.
        case response(status: Int, body: AnswerBody, retryAfter: Int?, concurrentRequests: Int?)
        /// The body never wholly left: safe to send again.
        case notSent(NotSentReason)
        /// The body may have left and there is no clear answer: never to be blindly sent again.
        case unknown(UnknownReason)
    }
}

/// What an answer says of the program that gave it, as far as it does. Unchecked text from outside.
public struct AnswerOrigin: Sendable, Hashable {
    static let longest = 200

    /// `Content-Type`.
    public var contentType: String?
    /// `Server`.
    public var server: String?
    /// `Via`: proxies on the way.
    public var via: String?
}
