public import EventLoop
public import Postgres

/// Records attempts with an unknown outcome whose claim the database has forgotten. Their jobs become `unknown`, so
/// that the reconciler looks them up at Twilio before anything is sent again.
///
/// If a job has a lower attempt number than the one handed over, the claim is missing, whatever state the job is in: an
/// earlier attempt may be `sending` or `unknown` there again. With the same number or a higher one, the database knows
/// the claim, and what became of it. A row with another `requested_at` is another job, whose id was reused. The primary
/// key serves it, with `= ANY (…)` and `+ 0` as in `FinishAccepted`.
public struct RecallUnknown: Sendable {
    static let statement = Statement(
        "otpd_recall_unknown",
        """
        WITH e AS MATERIALIZED (
            SELECT * FROM unnest($2::bigint[], $3::int[], $4::timestamptz[], $5::float8[]) AS e(id, attempt, requested_at, age)
        ), recalled AS (
            UPDATE otp.send_jobs j
               SET state = 'unknown', attempt = e.attempt, worker = $1, lease_expires_at = now(), hold_kind = NULL, hold_key = NULL,
                   unknown_at = now() - make_interval(secs => e.age), next_lookup_at = now(), lookups = 0, last_error_code = NULL,
                   last_error = 'The database lost an attempt to send this job, so the code may have been sent.',
                   last_remedy = 'Nothing to do: otpd looks for the message at Twilio, and sends again only if Twilio does not have it.'
              FROM e
             WHERE j.id = ANY ($2) AND j.id + 0 = e.id
               AND j.attempt < e.attempt AND j.requested_at = e.requested_at
         RETURNING 1
        )
        SELECT count(*)::int FROM recalled
        """,
        [.int8, .int8Array, .int4Array, .timestamptzArray, .float8Array])

    private var attempts: [(job: Int64, attempt: Int32, requestedAt: Int64, age: Instant.Duration)] = []

    public init() {}

    /// How many attempts there are.
    public var count: Int { attempts.count }

    /// Adds an attempt of a job. `age` is how long ago it could last have left; below zero if it still can.
    public mutating func append(job: Int64, attempt: Int32, requestedAt: Int64, age: Instant.Duration) {
        attempts.append((job, attempt, requestedAt, age))
    }

    /// Records them all for `worker`. Returns how many the database had forgotten.
    public func run(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError) -> Int {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(attempts.lazy.map(\.job))
        parameters.append(attempts.lazy.map(\.attempt))
        parameters.appendArray(of: .timestamptz) { array in
            for attempt in attempts { array.append(unixMicroseconds: attempt.requestedAt) }
        }
        parameters.append(attempts.lazy.map(\.age.seconds))
        let result = try await connection.execute(
            Self.statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return try row.next()
    }
}
