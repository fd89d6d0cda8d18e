/// One request off the hot path, such as a fetch, a list or a connectivity check.
public struct Request: Sendable, CustomStringConvertible {
    /// The method.
    public enum Method: Sendable, Hashable {
        /// Fetches. libcurl may repeat it on a stale connection.
        case get
        /// Sends `body` as `application/x-www-form-urlencoded`, at most once.
        case post
    }

    /// A header. Its value must not be empty or hold a control character.
    public struct Header: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Its value.
        public var value: String

        /// A header.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The method.
    public var method: Method
    /// The whole URL, its query percent-encoded.
    public var url: String
    /// Its headers, `Authorization` among them.
    public var headers: [Header]
    /// The body: not empty for a POST, empty for a GET.
    public var body: [UInt8]

    /// Whether it gets a connection of its own, so that the answer cannot belong to another request.
    public var isAlone: Bool

    /// A request.
    public init(_ method: Method, url: String, headers: [Header] = [], body: [UInt8] = [], isAlone: Bool = false) {
        self.method = method
        self.isAlone = isAlone
        self.url = url
        self.headers = headers
        self.body = body
    }

    /// The method alone, because URL, headers and body may hold things that no log may show.
    public var description: String { method == .get ? "GET" : "POST" }
}

/// A complete and well-formed answer to a `Request`.
public struct Response: Sendable {
    /// 200...599.
    public var status: Int
    /// The headers of the last answer, in their order; names in lower case.
    public var headers: [Request.Header]
    /// The body, at most `HTTPConfiguration.answerLimit` bytes.
    public var body: [UInt8]
    /// How long to wait before the next request, in seconds.
    public var retryAfter: Int?

    /// The first header of that name, given in lower case.
    public func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}
