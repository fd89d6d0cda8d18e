/// A fault of one request.
enum Fault: Equatable {
    /// 429, code 20429, with this Retry-After, or none.
    case tooManyRequests(retryAfter: String?)
    /// 500, code 20500, after the message was created or without creating it.
    case serverError(created: Bool)
    /// 503 with an HTML body, as from a proxy.
    case unavailable
    /// Refused with this Twilio error code.
    case refuse(code: Int)
    /// An HTML page with this status, as a firewall, a proxy or a captive portal answers in Twilio's place.
    case blocked(status: Int)
    /// The request is read, then the connection closed: no message, no answer.
    case readThenClose
    /// The message is created, then the connection closed: no answer.
    case createThenClose
    /// The message is created, and half of the answer is sent.
    case closeMidAnswer
    /// The message is created, and the answer is not HTTP.
    case garbage
    /// The message is created, and the answer comes after this time.
    case slow(milliseconds: Int)
    /// The message is created, and no answer ever comes on the open connection.
    case never
    /// The message is accepted, and ends undelivered with this error code.
    case undelivered(code: Int)
    /// The call is accepted, and ends so.
    case ends(CallOutcome)

    /// The name that `/_sim/faults` and the statistics use.
    var name: String {
        switch self {
        case .tooManyRequests(.some): "429"
        case .tooManyRequests(.none): "429_no_retry_after"
        case .serverError(created: false): "500"
        case .serverError(created: true): "500_created"
        case .unavailable: "503"
        case .refuse: "refuse"
        case .blocked: "blocked"
        case .readThenClose: "read_then_close"
        case .createThenClose: "create_then_close"
        case .closeMidAnswer: "close_mid_answer"
        case .garbage: "garbage"
        case .slow: "slow"
        case .never: "never"
        case .undelivered: "undelivered"
        case .ends(let outcome): outcome.rawValue
        }
    }

    static let names = [
        "429", "429_no_retry_after", "500", "500_created", "503", "refuse", "blocked", "read_then_close",
        "create_then_close", "close_mid_answer", "garbage", "slow", "never", "undelivered", "busy", "no-answer",
        "failed", "canceled",
    ]

    /// Whether the fault has a meaning for a request to create something in that channel, or for another request.
    func fits(_ channel: Channel?) -> Bool {
        switch self {
        case .undelivered: channel == .sms || channel == .whatsapp
        case .ends: channel == .call
        case .tooManyRequests, .serverError, .unavailable, .refuse, .blocked, .readThenClose, .createThenClose,
            .closeMidAnswer, .garbage, .slow, .never:
            channel != .email
        }
    }

    /// The fault of that name, or nil. `code` is for `refuse` and `undelivered`, `milliseconds` for `slow`, `retryAfter` for `429`, `status`
    /// for `blocked`.
    init?(
        name: String, code: Int = 21211, milliseconds: Int = 3000, retryAfter: String = "1", status: Int = 403
    ) {
        switch name {
        case "429": self = .tooManyRequests(retryAfter: retryAfter)
        case "429_no_retry_after": self = .tooManyRequests(retryAfter: nil)
        case "500": self = .serverError(created: false)
        case "500_created": self = .serverError(created: true)
        case "503": self = .unavailable
        case "refuse": self = .refuse(code: code)
        case "blocked": self = .blocked(status: status)
        case "read_then_close": self = .readThenClose
        case "create_then_close": self = .createThenClose
        case "close_mid_answer": self = .closeMidAnswer
        case "garbage": self = .garbage
        case "slow": self = .slow(milliseconds: milliseconds)
        case "never": self = .never
        case "undelivered": self = .undelivered(code: code)
        case "busy", "no-answer", "failed", "canceled":
            guard let outcome = CallOutcome(rawValue: name) else { return nil }
            self = .ends(outcome)
        default: return nil
        }
    }

    /// Whether the request takes effect in spite of the fault.
    var takesEffect: Bool {
        switch self {
        case .tooManyRequests, .unavailable, .refuse, .blocked, .readThenClose, .serverError(created: false): false
        case .createThenClose, .closeMidAnswer, .garbage, .slow, .never, .serverError(created: true), .undelivered,
            .ends:
            true
        }
    }

    /// The reply with this fault. `honest` is the reply without it, for faults whose request takes effect.
    func reply(instead honest: Reply?, format: TwilioError.Format, to: String, from: String) -> Reply {
        let answer = honest?.answer ?? ErrorCatalog.internalError.answer(format)
        switch self {
        case .tooManyRequests(let retryAfter):
            let headers = retryAfter.map { "Retry-After: \($0)\r\n" } ?? ""
            return Reply(answer: ErrorCatalog.tooManyRequests.answer(format, headers: headers))
        case .serverError: return Reply(answer: ErrorCatalog.internalError.answer(format))
        case .unavailable: return Reply(answer: Self.unavailableAnswer)
        case .refuse(let code):
            return Reply(answer: ErrorCatalog.refusal(code, to: to, from: from).answer(format))
        case .blocked(let status): return Reply(answer: Self.blockedAnswer(status))
        case .readThenClose, .createThenClose: return Reply(answer: answer, delivery: .closeUnanswered)
        case .closeMidAnswer: return Reply(answer: answer, delivery: .closeMidAnswer)
        case .garbage: return Reply(answer: answer, delivery: .garbage)
        case .never: return Reply(answer: answer, delivery: .never)
        case .slow(let milliseconds): return Reply(answer: answer, delayMilliseconds: milliseconds)
        case .undelivered, .ends: return honest ?? Reply(answer: answer)
        }
    }

    private static func blockedAnswer(_ status: Int) -> Answer {
        Answer(
            status: status, content: .html, headers: "Server: simulated-firewall\r\nVia: 1.1 simulated-proxy\r\n",
            body: Array(
                "<html><head><title>\(status)</title></head><body><h1>Request blocked</h1></body></html>\n".utf8))
    }

    private static let unavailableAnswer = Answer(
        status: 503, content: .html,
        body: Array(
            "<html><head><title>503 Service Unavailable</title></head><body><h1>503 Service Unavailable</h1></body></html>\n"
                .utf8))
}
