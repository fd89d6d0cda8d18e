public import EventLoop
public import OTP
public import Postgres
public import Tracing

/// One job that this worker has claimed until its lease ends. It prints neither its code nor more than a masked number.
public struct ClaimedJob: Sendable {
    /// The send job's id.
    public let id: Int64
    /// Where the claim wrote its row. The job ends there unless its row is changed meanwhile.
    public let place: TupleID
    /// The number of this attempt, from 1. With the worker it is the fencing token.
    public let attempt: Int32
    /// When the claim's lease ends, by the database's clock, in microseconds since the Unix epoch. It is part of the
    /// fencing token, because a database that has lost a claim gives the same attempt number again.
    public let leaseEnd: Int64
    /// How many attempts it has had, this one included, without those that were released before anything was sent.
    public let tries: Int32
    /// The verification it belongs to.
    public let verificationID: Int64
    /// When the send was requested, by the database's clock, in microseconds since the Unix epoch.
    public let requestedAt: Int64
    /// How long it had waited when it was claimed.
    public let age: Instant.Duration
    /// How long its code still had to live when it was claimed.
    public let life: Instant.Duration
    /// The number to send to, or the reason if the row has none in E.164.
    public let recipient: Result<PhoneNumber, PhoneNumber.FormError>
    /// Its country as an ISO 3166 code, by SQL's table of numbers. Empty if its verification is deleted.
    public let country: String
    /// The purpose of its template.
    public let purpose: String
    /// The locale of its template.
    public let locale: String
    /// Nil if none of the worker's secrets opens its seal.
    public let code: Code?
    /// Why the code has ended early; nil while it is live.
    public let endReason: EndReason?
    /// Whether an earlier claim of it was lost with its worker.
    public let isQuarantined: Bool
    /// Whether lookups missed an earlier attempt with an unknown outcome, so that this attempt is a repetition.
    public let isResolved: Bool
    /// The pause whose probe it is. That pause does not hold it.
    public let probeOf: String?
    /// The way by which it goes.
    public let channel: Channel
    /// The address for e-mail, if the verification has one.
    public let email: String?
    /// The caller's span; nil if its request had none.
    public let caller: TraceContext?
    /// The job that it follows, as a later step of a route or as a resend; nil for the first of a request.
    public let follows: Int64?
    /// The highest risk with which its text may be sent, if its number has to be looked up first; nil if not.
    public let maxRisk: Int32?

    /// Why a code ended before it expired.
    public enum EndReason: String, Sendable {
        /// Its verification was deleted.
        case deleted
        case canceled
        /// It has been used.
        case verified
        /// The subject has a newer verification of this purpose, and only the newest can succeed.
        case replaced
        /// Its number has become a test number, to which nothing is sent.
        case test
    }

    /// Reads the columns of `Claim`'s statements that describe the job.
    init(_ row: inout RowReader, _ opener: borrowing CodeKeys.Opener, _ lease: Instant.Duration) throws(PostgresError) {
        id = try row.next()
        attempt = try row.next()
        verificationID = try row.next()
        requestedAt = try row.nextUnixMicroseconds()
        let claimedAt = try row.nextUnixMicroseconds()
        leaseEnd = claimedAt + lease.nanoseconds / 1000
        age = Instant.Duration(nanoseconds: (claimedAt - requestedAt) * 1000)
        life = Instant.Duration(nanoseconds: (try row.nextUnixMicroseconds() - claimedAt) * 1000)
        let number = (try row.next() as String?) ?? ""
        recipient = Result { () throws(PhoneNumber.FormError) in try PhoneNumber(e164: number) }
        purpose = (try row.next() as String?) ?? ""
        locale = (try row.next() as String?) ?? ""
        code = opener.code(&row)
        endReason = (try row.next() as String?).flatMap(EndReason.init)
        isQuarantined = try row.next()
        country = (try row.next() as String?) ?? ""
        probeOf = try row.next()
        tries = try row.next()
        place = try row.next()
        isResolved = try row.next()
        let name: String = try row.next()
        // Only channels that this program knows are claimed.
        channel = Channel(rawValue: name) ?? .sms
        email = try row.next()
        caller = (try row.next() as String?).flatMap(TraceContext.init(traceparent:))
        follows = try row.next()
        maxRisk = try row.next()
    }
}
