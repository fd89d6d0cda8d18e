/// Why an HTTP call has no answer: what happened, why, and what to do, as text for people.
///
/// Names a host at most, never a path, a query, a body or an authorization.
public struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    public enum Reason: Sendable, Hashable {
        /// The text is not a usable URL; says why.
        case invalidURL(String)
        /// Plain HTTP to a host that `PlainHTTP` does not allow.
        case insecureURL
        /// A header holds a line break or another control character; names it.
        case invalidHeader(String)
        /// The request never wholly left this process.
        case notSent(NotSentReason)
        /// The request may have left, and there is no clear answer.
        case unknown(UnknownReason)
        /// The waiting task was canceled.
        case canceled
        /// libcurl is unusable; says why.
        case setup(String)
    }

    /// What went wrong.
    public var reason: Reason
    /// Scheme, host and port of the URL, if there is one.
    public var origin: String?

    init(_ reason: Reason, origin: String? = nil) {
        self.reason = reason
        self.origin = origin
    }

    public var description: String {
        let place = origin.map { " (\($0))" } ?? ""
        return switch reason {
        case .invalidURL(let why): "unusable URL\(place): \(why). Set it to one like https://api.twilio.com."
        case .insecureURL:
            "refused plain http to a host other than this machine\(place): it would expose credentials and codes. "
                + "Use https."
        case .invalidHeader(let name):
            "the header \(name) has a line break or another control character. Remove it from its setting."
        case .notSent(let why): "the request was not sent\(place): \(why). \(why.remedy)"
        case .unknown(let why): "no clear answer to the request\(place): \(why). \(why.remedy)"
        case .canceled: "the request was given up before its answer\(place)"
        case .setup(let why): "cannot use libcurl: \(why). Install Debian 12's libcurl4 (7.88.1 or newer)."
        }
    }
}
