public import EventLoop
public import Postgres

/// Records lookups that did not find their message: look up again, queue the same code again, or fail. (A found message
/// is evidence, which `FinishAccepted` records.)
///
/// A lookup is due at the code's expiry at the latest, so that the last one comes in time.
///
/// Fenced by id, attempt and the lookup's token, in state `unknown` alone. A later result of the attempt, a callback,
/// or a later lookup takes precedence. A backend may have reported a SID that Twilio has not confirmed or denied yet
/// (`ReportedMessages`). Then the job is neither sent again nor failed, but looked up again. The primary key serves it,
/// with `= ANY (…)` and `+ 0` as in `FinishAccepted`.
public struct FinishLookup: Sendable {
    static let statement = Statement(
        "otpd_finish_lookup",
        """
        WITH e AS MATERIALIZED (
            SELECT e.*, j.*
              FROM unnest($1::bigint[], $2::int[], $3::timestamptz[], $4::text[], $5::float8[], $6::int[], $7::text[],
                          $8::text[])
                AS e(id, attempt, token, next, delay, counted, error, remedy)
             CROSS JOIN LATERAL (
                   SELECT j.verification_id, j.requested_at, j.channel, j.step, j.follows, j.traceparent, j.expires_at,
                          j.last_error_code, j.last_error,
                          (SELECT true FROM otp.status_reports r
                            WHERE r.send_job_id = j.id AND r.due_at IS NOT NULL LIMIT 1) AS is_reported
                     FROM otp.send_jobs j
                    WHERE j.id = e.id AND j.attempt = e.attempt AND j.next_lookup_at + interval '0' = e.token
                      AND CASE j.state WHEN 'unknown' THEN true END
                      FOR UPDATE) j
        ), again AS (
            UPDATE otp.send_jobs j
               SET next_lookup_at = CASE WHEN e.expires_at > now() THEN least(e.expires_at, now() + make_interval(secs => e.delay))
                                  ELSE now() + make_interval(secs => e.delay) END,
                   lookups = j.lookups + e.counted
              FROM e
             WHERE j.id = ANY ($1) AND j.id + 0 = e.id AND e.next = 'again'
        ), resent AS (
            UPDATE otp.send_jobs j
               SET state = 'queued', worker = NULL, lease_expires_at = NULL, unknown_at = NULL, next_lookup_at = NULL,
                   due_at = now(), last_error = e.error, last_remedy = e.remedy
              FROM e
             WHERE j.id = ANY ($1) AND j.id + 0 = e.id AND e.next = 'resend' AND e.is_reported IS NULL
         RETURNING 1
        ), gone AS (
            DELETE FROM otp.send_jobs j
             WHERE j.id = ANY (ARRAY (SELECT e.id FROM e WHERE e.next = 'fail' AND e.is_reported IS NULL))
         RETURNING j.id
        ), ended AS (
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, step, state, attempts, error_code, error,
                                         remedy, error_class, requested_at, ended_at, follows, traceparent)
            SELECT e.id, e.verification_id, e.channel, e.step, 'failed', e.attempt, e.last_error_code,
                   e.error || coalesce(' ' || e.last_error, ''), e.remedy, 'unknown', e.requested_at, now(), e.follows,
                   e.traceparent
              FROM e
              JOIN gone g ON g.id = e.id
             ORDER BY e.verification_id
         RETURNING 1
        )
        SELECT (SELECT count(*)::int FROM resent), (SELECT count(*)::int FROM ended)
        """,
        [.int8Array, .int4Array, .timestamptzArray, .textArray, .float8Array, .int4Array, .textArray, .textArray])

    private var lookups: [EndedLookup] = []

    public init() {}

    /// How many lookups are waiting to be recorded.
    public var count: Int { lookups.count }

    /// Adds the result of a lookup.
    public mutating func append(_ lookup: EndedLookup) { lookups.append(lookup) }

    /// The effect of a batch.
    public struct Written: Sendable, Equatable {
        /// Jobs queued again.
        public var resent: Int
        /// Jobs that failed.
        public var failed: Int

        public init(resent: Int, failed: Int) {
            self.resent = resent
            self.failed = failed
        }
    }

    /// Records them all.
    public func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Written {
        var parameters = Parameters()
        parameters.append(lookups.lazy.map(\.job))
        parameters.append(lookups.lazy.map(\.attempt))
        parameters.appendArray(of: .timestamptz) { array in
            for lookup in lookups { array.append(unixMicroseconds: lookup.token) }
        }
        parameters.append(lookups.map(\.step.rawValue))
        parameters.append(lookups.lazy.map(\.delay.seconds))
        parameters.append(lookups.lazy.map { $0.isCounted ? 1 : 0 as Int32 })
        parameters.append(lookups.map(\.error))
        parameters.append(lookups.map(\.remedy))
        let result = try await connection.execute(
            Self.statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return Written(resent: try row.next(), failed: try row.next())
    }
}

/// The result of a lookup that did not find its message.
public struct EndedLookup: Sendable {
    /// The job's next step.
    public enum Step: String, Sendable {
        case again, resend, fail
    }

    /// The send job.
    public var job: Int64
    /// The attempt.
    public var attempt: Int32
    /// The lookup's fencing token.
    public var token: Int64
    /// The job's next step.
    public var step: Step
    /// For `again`: how long until the next lookup.
    public var delay: Instant.Duration
    /// Whether this lookup counts among those that a resend needs.
    public var isCounted: Bool
    /// Why, for `resend` and `fail`. Never holds a code or a whole number.
    public var error: String?
    /// What to do about it.
    public var remedy: String?

    public init(
        _ job: UnknownJob, _ step: Step, delay: Instant.Duration = .seconds(0), isCounted: Bool = false,
        error: String? = nil, remedy: String? = nil
    ) {
        self.job = job.id
        attempt = job.attempt
        token = job.token
        self.step = step
        self.delay = delay
        self.isCounted = isCounted
        self.error = error
        self.remedy = remedy
    }
}
