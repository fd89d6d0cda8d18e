/// An HTTP answer.
struct Answer: Equatable {
    enum Content: String {
        case json = "application/json;charset=utf-8"
        case problem = "application/problem+json"
        case html = "text/html"
        case text = "text/plain; charset=utf-8"
    }

    var status: Int
    var content: Content = .json
    /// Whole header lines, each ended by CRLF.
    var headers = ""
    var body: [UInt8]

    /// Status line, headers and body as they go on the wire.
    func serialized(keepAlive: Bool, concurrent: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(body.count + 256)
        bytes.append(text: status == 201 ? "HTTP/1.1 201 Created\r\n" : Self.statusLine(status))
        bytes.append(text: "Content-Type: ")
        bytes.append(text: content.rawValue)
        bytes.append(text: "\r\nContent-Length: ")
        bytes.append(number: body.count)
        bytes.append(text: "\r\nTwilio-Concurrent-Requests: ")
        bytes.append(number: concurrent)
        bytes.append(text: "\r\n")
        if !headers.isEmpty { bytes.append(text: headers) }
        bytes.append(text: keepAlive ? "\r\n" : "Connection: close\r\n\r\n")
        bytes.append(contentsOf: body)
        return bytes
    }

    private static func statusLine(_ status: Int) -> String {
        let reason =
            switch status {
            case 200: "OK"
            case 204: "No Content"
            case 400: "Bad Request"
            case 401: "Unauthorized"
            case 403: "Forbidden"
            case 404: "Not Found"
            case 405: "Method Not Allowed"
            case 409: "Conflict"
            case 413: "Content Too Large"
            case 429: "Too Many Requests"
            case 500: "Internal Server Error"
            case 503: "Service Unavailable"
            default: "Status"
            }
        return "HTTP/1.1 \(status) \(reason)\r\n"
    }
}
