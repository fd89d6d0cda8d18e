/// Why nobody can say whether a request was carried out: its body may have left, and there is no clear answer.
public enum UnknownReason: Sendable, Hashable, CustomStringConvertible {
    /// No complete answer in the request's whole time.
    case timedOut
    /// The server closed the connection without a byte of an answer, where libcurl would send the request once more if
    /// it were let (`CURLE_SEND_FAIL_REWIND`), or anywhere else.
    case closedWithoutAnswer
    /// The connection was lost while sending or receiving.
    case connectionLost
    /// The answer ended before its announced length.
    case truncated
    /// The answer is larger than the configured limit.
    case answerTooLarge
    /// What came is not HTTP, or not an answer.
    case garbled
    /// The client was told to give up after the body had been fed.
    case canceled
    /// Something else, as a `CURLcode`.
    case failed(code: Int32)

    public var description: String {
        switch self {
        case .timedOut: "no complete answer came in time"
        case .closedWithoutAnswer: "the server closed the connection without an answer"
        case .connectionLost: "the connection was lost after the request had been handed over"
        case .truncated: "the answer broke off"
        case .answerTooLarge: "the answer was larger than allowed"
        case .garbled: "the answer was not valid HTTP"
        case .canceled: "it was given up before an answer came"
        case .failed(let code): "libcurl: \(curlWords(code)) (\(code))"
        }
    }

    /// What the operator can do about it.
    public var remedy: String {
        switch self {
        case .timedOut, .closedWithoutAnswer, .connectionLost, .truncated:
            "It may have been carried out. If this repeats, check the network and the provider's status page."
        case .answerTooLarge, .garbled:
            "It may have been carried out. Check that the base URL leads to the provider, and no proxy's page."
        case .canceled, .failed: "It may have been carried out."
        }
    }
}
