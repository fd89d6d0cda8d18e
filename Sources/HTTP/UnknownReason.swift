/// Why it is unknown whether a request was processed: its body may have left, and there is no clear answer.
public enum UnknownReason: Sendable, Hashable, CustomStringConvertible {
    /// No complete answer in the request's whole time.
    case timedOut
    /// The server closed the connection without a byte of an answer. Includes the case in which libcurl would repeat
    /// the request if allowed (`CURLE_SEND_FAIL_REWIND`).
    case closedWithoutAnswer
    /// The connection was lost while sending or receiving.
    case connectionLost
    /// The answer ended before its announced length.
    case truncated
    /// The answer is larger than the configured limit.
    case answerTooLarge
    /// The bytes received are not HTTP, or not an answer.
    case garbled
    /// The client was told to give up after the body had been fed.
    case canceled
    /// Another error, as a `CURLcode`.
    case failed(code: Int32)

    public var description: String {
        switch self {
        case .timedOut: "no complete answer came in time"
        case .closedWithoutAnswer: "the server closed the connection without an answer"
        case .connectionLost: "the connection was lost after the request had been handed over"
        case .truncated: "the answer broke off"
        case .answerTooLarge: "the answer was larger than allowed"
        case .garbled: "the answer was not valid HTTP"
        case .canceled: "the request was given up before an answer came"
        case .failed(let code): "libcurl: \(curlWords(code)) (\(code))"
        }
    }

    /// What the operator can do about it.
    public var remedy: String {
        switch self {
        case .timedOut, .closedWithoutAnswer, .connectionLost, .truncated:
            "The request may have been processed. If this repeats, check the network and the provider's status page."
        case .answerTooLarge, .garbled:
            "The request may have been processed. Check that the base URL leads to the provider and not to a proxy."
        case .canceled, .failed: "The request may have been processed."
        }
    }
}
