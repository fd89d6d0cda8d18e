/// What a POST to Twilio came to: four kinds and no fifth.
public enum Outcome: Sendable, Hashable {
    /// 201 with a SID: Twilio has it.
    case accepted(MessageSID, status: MessageStatus?)
    /// Twilio answered 4xx, in the form of its errors: it does not have it and will not take it like this.
    case refused(Refused)
    /// It certainly was not sent: the body never wholly left, Twilio said that it was not processed (429), or something
    /// else refused it on the way.
    case notSent(NotSent, retryAfter: Duration?)
    /// The body may have left and there is no clear answer. Never blindly sent again.
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
        /// The trust window was over before the body was fed.
        case leaseTooShort
        /// 429: "not processed, safe to retry".
        case throttled
        /// No file descriptor was free: this process's limit is reached, or the system's.
        case noDescriptor(isSystems: Bool)
        /// A 4xx without the form of Twilio's errors: a firewall, a proxy or a wrong server refused it, and Twilio never
        /// had it.
        case blocked(Responder)

        public var explanation: String {
            switch self {
            case .nameLookup: "Twilio's host name could not be resolved"
            case .connect: "no connection to Twilio could be made"
            case .tls: "no trusted TLS connection to Twilio could be made"
            case .bodyNotSent: "the connection to Twilio broke before the request had left"
            case .leaseTooShort: "the job's lease was nearly over before its request could leave"
            case .throttled: "Twilio answered 429: requests come too fast"
            case .noDescriptor(false):
                "otpd has as many files and connections open as its limit allows (EMFILE, RLIMIT_NOFILE)"
            case .noDescriptor(true): "this machine has as many files open as its limit allows (ENFILE, fs.file-max)"
            case .blocked(let responder): "something other than Twilio refused the request: \(responder)"
            }
        }

        public var remedy: String {
            switch self {
            case .nameLookup: "check the machine's DNS and TWILIO_API_BASE_URL"
            case .connect: "check the machine's network, firewall and TWILIO_API_BASE_URL"
            case .tls: "check the machine's clock and certificates, and OTPD_CA_FILE if a proxy re-signs"
            case .bodyNotSent: "nothing if it is rare; otherwise check the network"
            case .leaseTooShort: "check whether the machine was suspended or is overloaded"
            case .throttled:
                "nothing if it is rare: otpd tries again by itself; if it lasts, lower OTPD_RATE_PER_SECOND or "
                    + "OTPD_MAX_IN_FLIGHT, or ask Twilio for a higher rate"
            case .noDescriptor(false):
                "raise the limit (LimitNOFILE= of the unit, ulimit -n) or lower OTPD_MAX_IN_FLIGHT, then restart otpd"
            case .noDescriptor(true): "see which process has so many files open, or raise fs.file-max with sysctl"
            case .blocked(let responder): responder.remedy
            }
        }
    }

    /// Why nobody can say whether Twilio has it.
    public enum Unclear: Sendable, Hashable {
        /// No answer in time.
        case timeout
        /// The connection broke after the body had left.
        case connectionLost
        /// 5xx: the request may have been processed all the same.
        case serverError(httpStatus: Int)
        /// A success without a SID that can be read.
        case unreadableAnswer(httpStatus: Int)
        /// A status that Twilio's API does not give: a redirect, a 200, a 408 from a proxy.
        case unexpectedStatus(httpStatus: Int)
        /// Twilio refused with a code that its class calls ambiguous.
        case ambiguousCode(Int)
        /// A success that speaks of another recipient: an answer came twice, and the connection is one behind.
        case foreignAnswer

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
            }
        }

        public var explanation: String {
            switch self {
            case .timeout: "Twilio did not answer in time"
            case .connectionLost: "the connection to Twilio broke before the answer had come"
            case .serverError(let status): "Twilio answered with server error \(status)"
            case .unreadableAnswer(let status): "Twilio answered \(status) without a message SID that could be read"
            case .unexpectedStatus(let status): "the answer had HTTP status \(status), which Twilio does not use here"
            case .ambiguousCode(let code): "Twilio answered with error \(code), which does not say whether it was sent"
            case .foreignAnswer:
                "the answer spoke of another message: something between otpd and Twilio repeats answers"
            }
        }
    }

    /// Where it says that Twilio cannot be reached: why, and what to do.
    public var outage: Outage? {
        switch self {
        case .notSent(let reason, _):
            switch reason {
            case .nameLookup, .connect, .tls, .bodyNotSent, .noDescriptor:
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
                        "look at https://status.twilio.com and at the network: otpd asks again by itself, and goes on when there is an answer",
                    isBlocked: false)
            // A login page in place of an answer.
            case .unexpectedStatus, .unreadableAnswer:
                Outage(explanation: reason.explanation, remedy: Responder.remedy, isBlocked: false)
            case .ambiguousCode, .foreignAnswer: nil
            }
        case .accepted, .refused: nil
        }
    }

    /// Why Twilio cannot be reached.
    public struct Outage: Sendable, Hashable {
        /// What happened.
        public let explanation: String
        /// What to do.
        public let remedy: String
        /// Whether something else refuses requests, so that a further one costs nothing: it certainly is not sent.
        public let isBlocked: Bool
    }
}
