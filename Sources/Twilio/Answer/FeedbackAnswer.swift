internal import FoundationEssentials
public import OTP

/// What Twilio answered to feedback about a message (`POST …/Messages/SM…/Feedback.json`).
public enum FeedbackAnswer: Sendable, Equatable {
    /// Twilio has recorded it.
    case confirmed
    /// Twilio takes no feedback for this message: it was deleted, belongs to another account, or its kind has none.
    case unavailable
    /// Twilio refuses these credentials, or may not be asked by them. `code` is Twilio's error code, if it gave one.
    case refused(code: Int?)
    /// Twilio takes nothing for now. `retryAfter` is how many seconds it asked to wait.
    case throttled(retryAfter: Int?)
    /// No answer, or none of Twilio's about this message.
    case unclear

    /// Reads an answer with that status of HTTP. An answer that names another message decides nothing, and neither does
    /// the page of a proxy.
    public init(status: Int, body: Span<UInt8>, retryAfter: Int?, about sid: MessageSID) {
        switch status {
        case 200, 201:
            let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: body))
            self = wire?.sid == "\(sid)" && wire?.outcome == "confirmed" ? .confirmed : .unclear
        case 401, 403: self = .refused(code: ErrorBody(body)?.code)
        case 429: self = .throttled(retryAfter: retryAfter)
        // A conflict with another request, and what a server asks to be repeated.
        case 408, 409, 423, 425: self = .unclear
        // Other servers answer with these, too: only Twilio's own words end it.
        case 400..<500: self = ErrorBody(body) == nil ? .unclear : .unavailable
        default: self = .unclear
        }
    }

    private struct Wire: Decodable {
        let sid: String
        let outcome: String

        enum CodingKeys: String, CodingKey {
            case sid = "message_sid"
            case outcome
        }
    }
}
