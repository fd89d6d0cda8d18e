internal import EventLoop
internal import OTP
internal import Postgres
internal import Tracing

// Makes jobs directly instead of from a result, for tests of the code that uses them.

extension ClaimedJob {
    init(
        id: Int64, attempt: Int32 = 1, tries: Int32 = 1, age: Instant.Duration = .seconds(0),
        life: Instant.Duration = .seconds(600), recipient: Result<PhoneNumber, PhoneNumber.FormError>,
        country: String, purpose: String = "login", locale: String = "en", code: Code?, endReason: EndReason? = nil,
        isQuarantined: Bool = false, isResolved: Bool = false, probeOf: String? = nil,
        channel: Channel = .sms, email: String? = nil, caller: TraceContext? = nil, follows: Int64? = nil,
        maxRisk: Int32? = nil
    ) {
        self.id = id
        place = TupleID(block: 0, offset: 1)
        self.attempt = attempt
        leaseEnd = 0
        self.tries = tries
        verificationID = id
        requestedAt = id
        self.age = age
        self.life = life
        self.recipient = recipient
        self.country = country
        self.purpose = purpose
        self.locale = locale
        self.code = code
        self.endReason = endReason
        self.isQuarantined = isQuarantined
        self.isResolved = isResolved
        self.probeOf = probeOf
        self.channel = channel
        self.email = email
        self.caller = caller
        self.follows = follows
        self.maxRisk = maxRisk
    }
}

extension LostJob {
    init(id: Int64, attempt: Int32 = 1, isResolved: Bool = false) {
        self.id = id
        self.attempt = attempt
        leaseEnd = 0
        verificationID = id
        requestedAt = id
        self.isResolved = isResolved
    }
}

extension UnknownJob {
    init(
        id: Int64, requestedAt: Int64, subject: ResolutionRule.Subject, channel: Channel = .sms, country: String = "TR",
        recipient: PhoneNumber?, code: Code?, caller: TraceContext? = nil
    ) {
        self.id = id
        self.caller = caller
        attempt = 1
        verificationID = id
        self.requestedAt = requestedAt
        token = 0
        self.subject = subject
        self.channel = channel
        self.country = country
        self.recipient = recipient
        self.code = code
    }
}

extension ReportedMessage {
    init(job: Int64, sid: MessageSID, isLastTry: Bool, requestedAt: Int64, recipient: PhoneNumber?, code: Code?) {
        self.job = job
        attempt = 1
        self.sid = sid
        self.isLastTry = isLastTry
        verificationID = job
        self.requestedAt = requestedAt
        self.recipient = recipient
        self.code = code
    }
}
