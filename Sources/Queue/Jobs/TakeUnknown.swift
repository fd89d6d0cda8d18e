public import EventLoop
public import OTP
public import Postgres
public import Tracing

/// Takes jobs with an unknown outcome that are due for a lookup, for as long as a lookup may take.
///
/// `otp.send_jobs_unknown` (next_lookup_at) WHERE state = 'unknown' serves it. Setting `next_lookup_at` first shares
/// the work between workers. It is the lookup's lease and fencing token too: a result is recorded only if the token is
/// unchanged (`FinishLookup`). A job with an expired code is taken as well, because its last lookup decides how it
/// ends.
public enum TakeUnknown {
    static let statement = Statement(
        "otpd_take_unknown",
        """
        WITH due AS MATERIALIZED (
            SELECT id
              FROM otp.send_jobs
             WHERE state = 'unknown' AND next_lookup_at <= now()
             ORDER BY next_lookup_at
             LIMIT $1
               FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE otp.send_jobs j
               SET next_lookup_at = now() + make_interval(secs => $2)
             WHERE j.id = ANY (ARRAY (SELECT due.id FROM due))
         RETURNING j.*
        )
        SELECT t.id, t.attempt, t.verification_id, t.requested_at, t.next_lookup_at,
               extract(epoch FROM now() - t.unknown_at)::float8, t.lookups, t.lost_claims,
               extract(epoch FROM now() - t.expires_at)::float8, t.channel, v.country, v.e164, v.sealed_code, v.key_id,
               t.traceparent
          FROM taken t
          LEFT JOIN otp.verifications v ON v.id BETWEEN t.verification_id AND t.verification_id
        """,
        [.int4, .float8])

    /// Takes at most `limit` jobs to look up now, each for `lease`.
    public static func run(
        on connection: Connection, limit: Int, keys: CodeKeys, lease: Instant.Duration, deadline: Instant
    ) async throws(PostgresError) -> [UnknownJob] {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        parameters.append(lease.seconds)
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        let opener = keys.opener()
        return try result.map { row throws(PostgresError) in try UnknownJob(&row, opener) }
    }
}

/// A job to look up at Twilio. It prints neither its code nor more than a masked number.
public struct UnknownJob: Sendable {
    /// The send job.
    public let id: Int64
    /// The attempt whose outcome is unknown.
    public let attempt: Int32
    /// The verification.
    public let verificationID: Int64
    /// When the send was requested, in microseconds since the Unix epoch, by the database's clock.
    public let requestedAt: Int64
    /// The lookup's fencing token, in microseconds since the Unix epoch.
    public let token: Int64
    /// The facts that the rule needs.
    public let subject: ResolutionRule.Subject
    /// The way by which it went.
    public let channel: Channel
    /// Its country as an ISO 3166 code; empty if its verification is deleted.
    public let country: String
    /// The recipient. Nil if the row has no number in E.164, in which case nothing can have been sent.
    public let recipient: PhoneNumber?
    /// The code to search for. Nil if none of the worker's secrets opens its seal.
    public let code: Code?
    /// The caller's span; nil if its request had none.
    public let caller: TraceContext?

    init(_ row: inout RowReader, _ opener: borrowing CodeKeys.Opener) throws(PostgresError) {
        id = try row.next()
        attempt = try row.next()
        verificationID = try row.next()
        requestedAt = try row.nextUnixMicroseconds()
        token = try row.nextUnixMicroseconds()
        let age: Double = try row.next()
        let lookups: Int = try row.next()
        let lostClaims: Int = try row.next()
        let expiredFor: Double = try row.next()
        subject = ResolutionRule.Subject(
            age: .milliseconds(Int64(age * 1000)), lookups: lookups, lostClaims: lostClaims,
            expiredFor: expiredFor < 0 ? nil : .milliseconds(Int64(expiredFor * 1000)))
        channel = Channel(rawValue: try row.next()) ?? .sms
        country = (try row.next() as String?) ?? ""
        recipient = (try row.next() as String?).flatMap { try? PhoneNumber(e164: $0) }
        code = opener.code(&row)
        caller = (try row.next() as String?).flatMap(TraceContext.init(traceparent:))
    }
}
