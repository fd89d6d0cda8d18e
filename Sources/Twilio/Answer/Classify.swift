public import OTP

/// A POST without any answer, as the HTTP client reports it.
public enum TransportFailure: Sendable, Hashable {
    /// The body certainly never wholly left.
    case neverSent(Outcome.NotSent)
    /// The body may have left.
    case maybeSent(Outcome.Unclear)

    public var outcome: Outcome {
        switch self {
        case .neverSent(let reason): .notSent(reason, retryAfter: nil)
        case .maybeSent(let reason): .unknown(reason)
        }
    }
}

extension Outcome {
    /// The outcome of a create for `recipient` on `channel`, from its answer. `retryAfter` is the value of that header,
    /// and `responder` describes the program that answered.
    ///
    /// A 4xx is Twilio's only if it has the form of Twilio's errors. Any other comes from something on the way that
    /// refused the request, so Twilio never had it.
    ///
    /// HTTP/1.1 pairs requests and answers by their order alone. If something on the way repeats an answer, all later
    /// ones on that connection belong to the request before. The recipient in Twilio's answer reveals this, and so does
    /// the kind of its SID where the request before went to the same number on another channel.
    public static func classify(
        httpStatus: Int, retryAfter: Duration?, body: Span<UInt8>, recipient: PhoneNumber? = nil,
        channel: Channel = .sms, responder: @autoclosure () -> Responder? = nil
    ) -> Outcome {
        switch httpStatus {
        case 201:
            guard let created = CreatedMessage.scan(body) else {
                return .unknown(.unreadableAnswer(httpStatus: httpStatus))
            }
            guard created.sid.isCall == (channel == .call) else { return .unknown(.foreignAnswer) }
            if let recipient, let to = created.to, !recipient.isWritten(body.extracting(to), on: channel) {
                return .unknown(.foreignAnswer)
            }
            return .accepted(created.sid, status: created.status)
        case 429:
            return .notSent(.throttled, retryAfter: retryAfter)
        case 400..<500:
            if let error = ErrorBody(body) {
                return .refused(Refused(httpStatus: httpStatus, code: error.code))
            }
            // A proxy stopped waiting, and may have passed the request on.
            if httpStatus == 408 || httpStatus == 499 {
                return .unknown(.unexpectedStatus(httpStatus: httpStatus))
            }
            return .notSent(.blocked(responder() ?? Responder(httpStatus: httpStatus)), retryAfter: nil)
        case 500..<600:
            return .unknown(.serverError(httpStatus: httpStatus))
        default:
            // A redirect, a success other than 201, or something that is not an HTTP status.
            return .unknown(.unexpectedStatus(httpStatus: httpStatus))
        }
    }
}

extension PhoneNumber {
    /// What Twilio writes before the number of a WhatsApp user.
    static let whatsAppPrefix: StaticString = "whatsapp:"

    /// Whether `bytes` name this number as Twilio's answers do on `channel`: `+966501234567`, and on WhatsApp
    /// `whatsapp:+966501234567`.
    func isWritten(_ bytes: Span<UInt8>, on channel: Channel) -> Bool {
        guard channel == .whatsapp else { return isWritten(bytes) }
        let prefix = Self.whatsAppPrefix.utf8CodeUnitCount
        return bytes.count > prefix && bytes.extracting(0..<prefix).equals(Self.whatsAppPrefix)
            && isWritten(bytes.extracting(prefix..<bytes.count))
    }
}
