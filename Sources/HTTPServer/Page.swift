/// A request for a page: a GET, or a HEAD, which gets the same answer without its body.
public struct PageRequest: Sendable, Equatable {
    /// The path of the target, without the query.
    public var path: String
    /// The query after the `?`; empty if there is none.
    public var query: String
    /// The `Host` header.
    public var host: String
    /// The `Authorization` header.
    public var authorization: String?
    /// The client's address, without its port.
    public var client: String

    public init(
        path: String, query: String = "", host: String = "", authorization: String? = nil, client: String = ""
    ) {
        self.path = path
        self.query = query
        self.host = host
        self.authorization = authorization
        self.client = client
    }
}

/// The answer to a request for a page.
public struct PageAnswer: Sendable, Equatable {
    public var status: Int
    /// The body's `Content-Type`.
    public var type: String
    public var body: [UInt8]
    /// Headers of this answer alone.
    public var headers: [(name: String, value: String)] = []

    public init(_ status: Int, type: String, body: [UInt8], headers: [(name: String, value: String)] = []) {
        self.status = status
        self.type = type
        self.body = body
        self.headers = headers
    }

    /// An answer of one line for a person to read.
    public init(_ status: Int, _ words: String, headers: [(name: String, value: String)] = []) {
        self.init(status, type: "text/plain; charset=utf-8", body: Array((words + "\n").utf8), headers: headers)
    }

    public static func == (left: PageAnswer, right: PageAnswer) -> Bool {
        left.status == right.status && left.type == right.type && left.body == right.body
            && left.headers.elementsEqual(right.headers) { $0 == $1 }
    }

    /// Allows only this server's files to be loaded or run, and forbids sending data elsewhere and framing the page.
    public static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
        form-action 'none'; frame-ancestors 'none'
        """

    /// The status line and all headers, the common ones included.
    func head(keepsAlive: Bool) -> String {
        var lines = [
            "HTTP/1.1 \(status) \(Self.reason(status))", "Content-Type: \(type)", "Content-Length: \(body.count)",
            "Content-Security-Policy: \(Self.contentSecurityPolicy)", "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer", "Cross-Origin-Opener-Policy: same-origin",
            "Cross-Origin-Resource-Policy: same-origin", "Cache-Control: no-store",
        ]
        lines += headers.map { "\($0.name): \($0.value)" }
        if !keepsAlive { lines.append("Connection: close") }
        return lines.joined(separator: "\r\n") + "\r\n\r\n"
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 503: "Service Unavailable"
        default: "Answer"
        }
    }
}
