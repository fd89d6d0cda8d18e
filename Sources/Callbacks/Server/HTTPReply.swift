import NIOCore

/// The receiver's replies, complete as they go on the wire.
enum HTTPReply: CaseIterable, Sendable {
    case ok, notStatus, notHTTP, forbidden, notFound, notAllowed, tooSlow, tooLarge, notForm, headTooLarge

    private var status: String {
        switch self {
        case .ok: "200 OK"
        case .notStatus, .notHTTP: "400 Bad Request"
        case .forbidden: "403 Forbidden"
        case .notFound: "404 Not Found"
        case .notAllowed: "405 Method Not Allowed"
        case .tooSlow: "408 Request Timeout"
        case .tooLarge: "413 Content Too Large"
        case .notForm: "415 Unsupported Media Type"
        case .headTooLarge: "431 Request Header Fields Too Large"
        }
    }

    /// For readers of Twilio's debugger, and of curl's output.
    private var words: String {
        switch self {
        case .ok: ""
        case .notStatus:
            "The signature is valid, but MessageSid or MessageStatus is missing or invalid. A call has CallSid and "
                + "CallStatus instead."
        case .notHTTP: "This is not HTTP/1.1."
        case .forbidden: "The signature is missing, or does not match the configured URL and auth token."
        case .notFound: "Not found: the path is not the one in OTPD_CALLBACK_PUBLIC_URL."
        case .notAllowed: "Status callbacks are sent with POST."
        case .tooSlow: "The request took too long."
        case .tooLarge: "The body is larger than 64 KiB."
        case .notForm: "Status callbacks are forms (application/x-www-form-urlencoded) or JSON (application/json)."
        case .headTooLarge: "The request's headers are larger than 16 KiB."
        }
    }

    /// Status line, headers and body. The connection ends after every reply but `ok`, so that a client without a valid
    /// signature has one try on it.
    func bytes(keepsAlive: Bool) -> ByteBuffer {
        if self == .ok { return keepsAlive ? HTTPReply.takenAndOpen : HTTPReply.takenAndClosed }
        let body = words + "\n"
        let allow = self == .notAllowed ? "Allow: POST\r\n" : ""
        return ByteBuffer(
            string: "HTTP/1.1 \(status)\r\nContent-Type: text/plain\r\n\(allow)"
                + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)")
    }

    private static let takenAndOpen = ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    private static let takenAndClosed = ByteBuffer(
        string: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    static let goOn = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")
}
