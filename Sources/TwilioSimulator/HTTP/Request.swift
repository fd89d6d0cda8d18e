/// A complete request.
struct Request {
    enum Method: Equatable {
        case get
        case post
        case delete
        case other
    }

    var method: Method
    /// The path as sent, without the query.
    var path: String
    /// The query as sent, after the `?`; empty if there is none.
    var query: Substring = ""
    /// The value of the Authorization header.
    var authorization: String?
    /// The value of the Host header.
    var host: String?
    /// Whether the Accept header asks for RFC 9457 problem details.
    var wantsProblemDetails = false
    var body: [UInt8] = []
    /// Whether the client allows the connection to stay open.
    var keepAlive = true

    init(method: Method, target: String, authorization: String? = nil, body: [UInt8] = []) {
        self.method = method
        self.authorization = authorization
        self.body = body
        if let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) {
            path = String(target[..<mark])
            query = target[target.utf8.index(after: mark)...]
        } else {
            path = target
        }
    }
}
