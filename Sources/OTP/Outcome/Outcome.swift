/// The outcome of a request to Twilio or to a mail server.
public enum Outcome: Sendable, Hashable {
    /// 201 with a SID: Twilio has the message.
    case accepted(MessageSID, status: MessageStatus?)
    /// Twilio answered 4xx in the form of its errors: it does not have the message and will not take this request.
    case refused(Refused)
    /// A mail server refused it, so it was surely not sent.
    case rejected(Rejection)
    /// It certainly was not sent. The body never wholly left, or Twilio answered 429 (not processed), or something else
    /// on the way refused it.
    case notSent(NotSent, retryAfter: Duration?)
    /// The body may have left, and there is no clear answer. Never sent again without lookups.
    case unknown(Unclear)

    /// A refusal by Twilio.
    public struct Refused: Sendable, Hashable {
        public let httpStatus: Int
        /// Twilio's error code.
        public let code: Int

        public init(httpStatus: Int, code: Int) {
            self.httpStatus = httpStatus
            self.code = code
        }
    }

    /// Why a request certainly was not sent.
    public enum NotSent: Sendable, Hashable {
        case nameLookup
        case connect
        case tls
        /// Connected, but the body was never wholly fed to the socket.
        case bodyNotSent
        /// The lease had too little time left before the body was fed.
        case leaseTooShort
        /// 429: "not processed, safe to retry".
        case throttled
        /// No file descriptor was free: this process's limit was reached, or the system's.
        case noDescriptor(isSystems: Bool)
        /// A 4xx that is not in the form of Twilio's errors. A firewall, a proxy or a wrong server refused the request,
        /// and Twilio never had it.
        case blocked(Responder)
        /// The mail server could not be reached, or broke off before it had the content: what happened, and what to do.
        case mailServer(String, remedy: String)

        public var explanation: String {
            switch self {
            case .nameLookup: "Twilio's host name could not be resolved"
            case .connect: "no connection to Twilio could be made"
            case .tls: "no trusted TLS connection to Twilio could be made"
            case .bodyNotSent: "the connection to Twilio broke before the request had left"
            case .leaseTooShort: "the job's lease had nearly ended before its request could leave"
            case .throttled: "Twilio answered 429: requests come too fast"
            case .noDescriptor(false):
                "otpd has reached its limit on open files and connections (EMFILE, RLIMIT_NOFILE)"
            case .noDescriptor(true): "this machine has reached its limit on open files (ENFILE, fs.file-max)"
            case .blocked(let responder): "something other than Twilio refused the request: \(responder)"
            case .mailServer(let explanation, _): explanation
            }
        }

        public var remedy: String {
            switch self {
            case .nameLookup: "Check the machine's DNS and TWILIO_API_BASE_URL."
            case .connect: "Check the machine's network, its firewall and TWILIO_API_BASE_URL."
            case .tls:
                "Check the machine's clock and certificates. If a proxy re-signs TLS, name its certificate in "
                    + "OTPD_CA_FILE."
            case .bodyNotSent:
                "If it happens once, do nothing. If it repeats, check the network between otpd and Twilio."
            case .leaseTooShort: "Check whether the machine was suspended or is overloaded."
            case .throttled:
                "otpd tries again by itself. If this lasts, lower OTPD_RATE_PER_SECOND or OTPD_MAX_IN_FLIGHT, or ask "
                    + "Twilio for a higher rate."
            case .noDescriptor(false):
                "Raise the limit (LimitNOFILE= of the unit, ulimit -n) or lower OTPD_MAX_IN_FLIGHT, then restart otpd."
            case .noDescriptor(true): "Find the process with so many open files, or raise fs.file-max with sysctl."
            case .blocked(let responder): responder.remedy
            case .mailServer(_, let remedy): remedy
            }
        }
    }

    /// Why an outcome is unknown.
    public enum Unclear: Sendable, Hashable {
        /// No answer in time.
        case timeout
        /// The connection broke after the body had left.
        case connectionLost
        /// 5xx: Twilio may have processed the request all the same.
        case serverError(httpStatus: Int)
        /// A success without a readable SID.
        case unreadableAnswer(httpStatus: Int)
        /// A status that Twilio's API does not use: a redirect, a 200, a 408 from a proxy.
        case unexpectedStatus(httpStatus: Int)
        /// Twilio refused with a code that has the class `ambiguous`.
        case ambiguousCode(Int)
        /// A success that names another recipient: an answer came twice, and this connection is one answer behind.
        case foreignAnswer
        /// The mail server had the content, and did not say what became of it: what happened.
        case mailServer(String)

        /// A short name for `otp.send_jobs`, metrics and logs.
        public var name: String {
            switch self {
            case .timeout: "timeout"
            case .connectionLost: "connection_lost"
            case .serverError: "server_error"
            case .unreadableAnswer: "unreadable_answer"
            case .unexpectedStatus: "unexpected_status"
            case .ambiguousCode: "ambiguous_code"
            case .foreignAnswer: "foreign_answer"
            case .mailServer: "mail_server"
            }
        }

        public var explanation: String {
            switch self {
            case .timeout: "Twilio did not answer in time"
            case .connectionLost: "the connection to Twilio broke before the answer arrived"
            case .serverError(let status): "Twilio answered with server error \(status)"
            case .unreadableAnswer(let status): "Twilio answered \(status) without a readable message SID"
            case .unexpectedStatus(let status): "the answer had HTTP status \(status), which Twilio does not use here"
            case .ambiguousCode(let code):
                "Twilio answered with error \(code), which does not say whether the text was sent"
            case .foreignAnswer:
                "the answer was about another message: something between otpd and Twilio repeats answers"
            case .mailServer(let explanation): explanation
            }
        }
    }

    /// The outage that this outcome shows; nil if Twilio can be reached.
    public var outage: Outage? {
        switch self {
        case .notSent(let reason, _):
            switch reason {
            case .nameLookup, .connect, .tls, .bodyNotSent, .noDescriptor, .mailServer:
                Outage(explanation: reason.explanation, remedy: reason.remedy, isBlocked: false)
            case .blocked: Outage(explanation: reason.explanation, remedy: reason.remedy, isBlocked: true)
            case .leaseTooShort, .throttled: nil
            }
        case .unknown(let reason):
            switch reason {
            case .timeout, .connectionLost, .serverError:
                Outage(
                    explanation: reason.explanation,
                    remedy:
                        "Check https://status.twilio.com and the network. otpd retries by itself until Twilio answers.",
                    isBlocked: false)
            // Such as a login page in place of Twilio's answer.
            case .unexpectedStatus, .unreadableAnswer:
                Outage(explanation: reason.explanation, remedy: Responder.remedy, isBlocked: false)
            case .mailServer:
                Outage(
                    explanation: reason.explanation,
                    remedy: "Check the mail server's log. otpd retries by itself until it answers.", isBlocked: false)
            case .ambiguousCode, .foreignAnswer: nil
            }
        case .accepted, .refused, .rejected: nil
        }
    }

    /// Why Twilio cannot be reached.
    public struct Outage: Sendable, Hashable {
        /// What happened.
        public let explanation: String
        /// What to do.
        public let remedy: String
        /// Whether something other than Twilio refuses the requests. Then a further request is harmless, because it
        /// certainly is not sent.
        public let isBlocked: Bool
    }
}

/// A refusal that says itself what it means for its job, as a mail server's does.
public struct Rejection: Sendable, Hashable {
    /// The consequence.
    public enum Effect: Sendable, Hashable {
        /// The job fails.
        case fail
        /// The job is tried again while its code lives.
        case retry
        /// As `retry`, and the server wants fewer requests.
        case throttle
        /// The job fails, and the channel pauses: all other jobs would be refused too.
        case pauseChannel
    }

    public let effect: Effect
    public let why: FailureCause

    public init(_ effect: Effect, why: FailureCause) {
        self.effect = effect
        self.why = why
    }
}
