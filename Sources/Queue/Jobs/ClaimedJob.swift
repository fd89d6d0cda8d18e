public import EventLoop
public import OTP
public import Postgres

/// One job that is ours until its lease ends. Its code can't print itself; its number prints masked.
public struct ClaimedJob: Sendable {
    /// The send job's id.
    public let id: Int64
    /// Where the claim wrote its row: as long as nothing else happens to the job, it ends there.
    public let place: TupleID
    /// The number of this attempt, from 1: with the worker, the fencing token.
    public let attempt: Int32
    /// When the claim's lease ends, by the database's clock, in microseconds since the Unix epoch. It belongs to the fencing
    /// token: a database that has forgotten a claim gives its attempt's number again.
    public let leaseEnd: Int64
    /// How many attempts it has had, with this one, but for those that were given back before anything was sent.
    public let tries: Int32
    /// The verification it belongs to.
    public let verificationID: Int64
    /// When the send was requested, by the database's clock, in microseconds since the Unix epoch.
    public let requestedAt: Int64
    /// How long it had waited when it was claimed.
    public let age: Instant.Duration
    /// How long its code had still to live when it was claimed.
    public let life: Instant.Duration
    /// The number to send to; where the row has none in E.164, the reason.
    public let recipient: Result<PhoneNumber, PhoneNumber.FormError>
    /// Its country as an ISO 3166 code, by SQL's table of numbers; empty where its verification is gone.
    public let country: String
    /// Half of its template's key.
    public let purpose: String
    /// The other half.
    public let locale: String
    /// Nil when none of the worker's secrets opens its seal.
    public let code: Code?
    /// Why the code is dead already; nil while it lives.
    public let death: Death?
    /// Whether a claim of it was lost with its worker.
    public let isQuarantined: Bool
    /// Whether looks at Twilio's list missed an earlier attempt whose outcome was unknown, so that it is sent again.
    public let isResolved: Bool
    /// The pause whose probe it is: that one lets it pass.
    public let probeOf: String?

    /// Why a code is dead before its time.
    public enum Death: String, Sendable {
        /// Its verification is gone.
        case deleted
        case canceled
        /// It has been used.
        case verified
        /// The subject has a newer one of this purpose, and only the newest can succeed.
        case replaced
    }

    /// Reads the columns of `Claim`'s statements, up to the last that tell of the job.
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
        death = (try row.next() as String?).flatMap(Death.init)
        isQuarantined = try row.next()
        country = (try row.next() as String?) ?? ""
        probeOf = try row.next()
        tries = try row.next()
        place = try row.next()
        isResolved = try row.next()
    }
}
