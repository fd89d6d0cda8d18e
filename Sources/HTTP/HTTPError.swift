/// Why an HTTP call has no answer, in words for people: what happened, why, and what to do.
///
/// Carries a host at most: never a path, a query, a body or an authorization.
public struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    public enum Reason: Sendable, Hashable {
        /// The text is not a URL that can be used; says why.
        case invalidURL(String)
        /// Plain http to a host that is not this machine.
        case insecureURL
        /// A header holds a line break or another control character; names it.
        case invalidHeader(String)
        /// The request never wholly left this process.
        case notSent(NotSentReason)
        /// The request may have left, and there is no clear answer.
        case unknown(UnknownReason)
        /// The task that waited was canceled.
        case canceled
        /// libcurl can't be used; says why.
        case setup(String)
    }

    /// What went wrong.
    public var reason: Reason
    /// Scheme, host and port of the URL, where there is one.
    public var origin: String?

    init(_ reason: Reason, origin: String? = nil) {
        self.reason = reason
        self.origin = origin
    }

    public var description: String {
        let place = origin.map { " (\($0))" } ?? ""
        return switch reason {
        case .invalidURL(let why): "the URL can't be used: \(why)\(place). Give one like https://api.twilio.com."
        case .insecureURL:
            "plain http is refused to a host other than this machine\(place): credentials and codes would be readable "
                + "on the way. Use https."
        case .invalidHeader(let name):
            "the header \(name) holds a line break or another control character. Remove it from the setting it comes from."
        case .notSent(let why): "the request was not sent\(place): \(why). \(why.remedy)"
        case .unknown(let why): "no clear answer to the request\(place): \(why). \(why.remedy)"
        case .canceled: "the request was given up before its answer\(place)."
        case .setup(let why): "libcurl can't be used: \(why). Install Debian 12's libcurl4 (7.88.1 or newer)."
        }
    }
}
