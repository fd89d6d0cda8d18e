/// How one POST ended.
public struct Completion: Sendable {
    /// What was passed to `post`.
    public var tag: Int
    /// How it ended.
    public var outcome: TransferResult
    /// The bytes received of an answer's body, complete or not. They are evidence even if the outcome is unknown.
    /// Readable until the completion handler returns.
    public var received: AnswerBody
    /// The status of the answer whose head arrived, 0 without one.
    public var receivedStatus: Int
    /// The program that answered, as that head describes it. Only set if the answer is not a success.
    public var origin: AnswerOrigin

    /// The three possible results of a POST.
    public enum TransferResult: Sendable {
        /// A complete and well-formed answer, whatever it says.
        ///
        /// `status` is 200...599; `body` can be read until the completion handler returns; `retryAfter` is in seconds
        /// (RFC 9110 10.2.3, both forms); `concurrentRequests` is Twilio's `Twilio-Concurrent-Requests`.
        case response(status: Int, body: AnswerBody, retryAfter: Int?, concurrentRequests: Int?)
        /// The body never wholly left, so sending it again is safe.
        case notSent(NotSentReason)
        /// The body may have left, and there is no clear answer. Never send it again without other evidence.
        case unknown(UnknownReason)
    }
}

/// The program that gave an answer, as far as the answer describes it. Unchecked text from outside.
public struct AnswerOrigin: Sendable, Hashable {
    static let longest = 200

    /// `Content-Type`.
    public var contentType: String?
    /// `Server`.
    public var server: String?
    /// `Via`: the proxies on the way.
    public var via: String?
}
