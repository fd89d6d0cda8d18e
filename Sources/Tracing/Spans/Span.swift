public import OTP

/// A span that has ended, with all that its export says. It holds no number, subject, code or text.
public struct Span: Sendable, Equatable {
    /// Its trace and its own identifier.
    public var context: TraceContext
    /// The span that it belongs to; nil for a root.
    public var parent: Parent?
    /// The caller's span that led to it, if it is a root of its own.
    public var link: TraceContext?
    /// When it began and ended, in nanoseconds since the Unix epoch.
    public var began: Int64
    public var ended: Int64
    public var content: Content

    /// The parent of a span.
    public struct Parent: Sendable, Equatable {
        public var spanID: SpanID
        /// Whether it is another program's.
        public var isRemote: Bool
    }

    /// What it is about.
    public enum Content: Sendable, Equatable {
        case send(Send)
        case request(Exchange)
        case lookup(Lookup)
        case receipt(Receipt)
    }

    /// A send job, as every span names it.
    public struct Job: Sendable, Equatable {
        public var id: Int64
        public var attempt: Int32
        public var channel: Channel
        /// Its country as an ISO 3166 code; empty if that is unknown.
        public var country: String

        public init(id: Int64, attempt: Int32, channel: Channel, country: String) {
            (self.id, self.attempt, self.channel, self.country) = (id, attempt, channel, country)
        }
    }

    /// One attempt of a send job: the claim, the request and its outcome.
    public struct Send: Sendable, Equatable {
        public var job: Job
        /// The job that this one follows; nil for the first of a request.
        public var follows: Int64?
        /// The outcome: `accepted`, `failed`, `expired`, `canceled`, `retry`, `hold` or `unknown`.
        public var outcome: String
        /// The message; nil unless it was accepted.
        public var sid: MessageSID?
        /// Twilio's error code, or a word for the error; nil unless there was one.
        public var error: String?
        /// How long the job had waited when it was claimed, in nanoseconds.
        public var wait: Int64

        public init(
            job: Job, follows: Int64?, outcome: String, sid: MessageSID? = nil, error: String? = nil, wait: Int64
        ) {
            (self.job, self.follows, self.outcome) = (job, follows, outcome)
            (self.sid, self.error, self.wait) = (sid, error, wait)
        }
    }

    /// A POST to Twilio.
    public struct Exchange: Sendable, Equatable {
        public var channel: Channel
        /// The status of the answer; nil without one.
        public var status: Int?
        /// Why there is no answer, in one word; nil if there is one.
        public var error: String?
        /// How often the job was sent before.
        public var resends: Int

        public init(channel: Channel, status: Int?, error: String?, resends: Int) {
            (self.channel, self.status, self.error, self.resends) = (channel, status, error, resends)
        }
    }

    /// A lookup of a send with an unknown outcome.
    public struct Lookup: Sendable, Equatable {
        public var job: Job
        /// What it decided: `adopt`, `look_up_again`, `resend` or `fail`.
        public var outcome: String

        public init(job: Job, outcome: String) { (self.job, self.outcome) = (job, outcome) }
    }

    /// A message's status that was recorded.
    public struct Receipt: Sendable, Equatable {
        public var job: Job
        public var sid: String
        /// Twilio's word, verbatim.
        public var status: String
        /// Twilio's error code.
        public var errorCode: Int32?
        public var source: Source

        /// How otpd learned of it.
        public enum Source: String, Sendable { case callback, poll }

        public init(job: Job, sid: String, status: String, errorCode: Int32?, source: Source) {
            (self.job, self.sid, self.status) = (job, sid, status)
            (self.errorCode, self.source) = (errorCode, source)
        }
    }
}
