public import EventLoop
public import Postgres

/// The end of an attempt that created no message.
public enum UnsentOutcome: String, Sendable, CaseIterable {
    /// Back to `queued`, due after a backoff: the attempt failed and certainly sent nothing.
    case retry
    /// Back to `queued`, due at once: it was never handed over. The attempt number stays used. If one worker got it
    /// twice, a release repeated after a lost connection could release a job that is being sent.
    case release
    /// Back to `queued`, held by a pause until that ends or the code expires.
    case hold
    /// Back to `queued`, due after `delay` but no later than its expiry: its sender's rate (`otp.sender_rates`) has no
    /// room before.
    case deferred
    /// `unknown`: it may have been sent. It is looked up at Twilio from `delay` on, and never sent again without that.
    case unknown
    /// Ended: failed for good.
    case failed
    /// Ended: its code expired first.
    case expired
    /// Ended: canceled, or verified before it was sent.
    case canceled
    /// Ended: Twilio rates the risk of its phone number too high.
    case limited
}

/// Records the ends of attempts that created no message, in one statement.
///
/// Fenced by id, attempt, worker and the end of the claim's lease, so that a job that has been claimed again is left
/// alone. The lease tells two claims with the same number apart, for a database that has lost the first one. If the
/// database was unreachable for longer than the lease, the sweep has set the job to `unknown`. Then this corrects it
/// with the attempt's certain result. Repeating it is harmless, because the first time takes the job out of this
/// attempt's hands. The primary key serves it, with `= ANY (…)` and `+ 0` as in `FinishAccepted`.
///
/// A pause that holds a job is locked until the job is written. So the pause's end (a DELETE, whose trigger releases
/// the held jobs) misses none. If the pause has ended meanwhile, its job is due again in a second. So is a deferred job
/// whose sender's rate has changed.
public struct FinishUnsent: Sendable {
    static let statement = Statement(
        "otpd_finish_unsent",
        """
        WITH e AS MATERIALIZED (
            SELECT e.*, j.*
              FROM unnest($2::bigint[], $3::int[], $4::text[], $5::float8[], $6::int[], $7::text[], $8::text[],
                          $9::text[], $10::text[], $11::float8[], $12::timestamptz[], $13::float8[])
                AS e(id, attempt, outcome, delay, error_code, error, remedy, error_class, hold_key, rate, lease, age)
             CROSS JOIN LATERAL (
                   SELECT j.verification_id, j.requested_at, j.expires_at, j.channel, j.step, j.follows, j.traceparent
                     FROM otp.send_jobs j
                    WHERE j.id = e.id AND j.attempt = e.attempt AND j.worker = $1
                      AND (e.lease IS NULL OR j.lease_expires_at = e.lease)
                      AND CASE j.state WHEN 'sending' THEN true WHEN 'unknown' THEN e.outcome <> 'unknown' END
                      FOR UPDATE) j
        ), pauses AS MATERIALIZED (
            SELECT p.name FROM otp.pauses p WHERE p.name = ANY ($10::text[]) FOR KEY SHARE
        ), queued AS (
            UPDATE otp.send_jobs j
               SET state = 'queued', worker = NULL, lease_expires_at = NULL, unknown_at = NULL, next_lookup_at = NULL,
                   hold_kind = CASE WHEN p.name IS NOT NULL THEN 'pause'::otp.hold_kind
                                    WHEN r.sender IS NOT NULL THEN 'rate'::otp.hold_kind END,
                   hold_key = coalesce(p.name, r.sender),
                   -- With a class, Twilio refused it, which counts as a try.
                   returned = j.returned + (e.outcome IN ('release', 'deferred')
                                            OR e.outcome = 'hold' AND e.error_class IS NULL)::int,
                   due_at = CASE WHEN e.outcome NOT IN ('hold', 'deferred')
                                 THEN now() + make_interval(secs => e.delay)
                                 WHEN p.name IS NOT NULL THEN j.expires_at
                                 ELSE least(j.expires_at, now() + CASE WHEN r.sender IS NOT NULL
                                            THEN make_interval(secs => e.delay) ELSE interval '1 second' END) END,
                   last_error_code = coalesce(e.error_code, j.last_error_code),
                   last_error = coalesce(e.error, j.last_error),
                   last_remedy = coalesce(e.remedy, j.last_remedy)
              FROM e
              LEFT JOIN pauses p ON e.outcome = 'hold' AND p.name = e.hold_key
              LEFT JOIN otp.sender_rates r
                ON e.outcome = 'deferred' AND r.sender = e.hold_key AND r.sends_per_second::float8 = e.rate
             WHERE j.id = ANY ($2) AND j.id + 0 = e.id AND e.outcome IN ('retry', 'release', 'hold', 'deferred')
        ), unknown AS (
            UPDATE otp.send_jobs j
               SET state = 'unknown', unknown_at = now() - make_interval(secs => e.age),
                   next_lookup_at = now() + make_interval(secs => e.delay), lookups = 0,
                   last_error_code = e.error_code, last_error = e.error, last_remedy = e.remedy
              FROM e
             WHERE j.id = ANY ($2) AND j.id + 0 = e.id AND e.outcome = 'unknown'
        ), gone AS (
            DELETE FROM otp.send_jobs j
             WHERE j.id = ANY (ARRAY (SELECT e.id FROM e WHERE e.outcome IN ('failed', 'expired', 'canceled', 'limited')))
        ), ended AS (
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, step, state, attempts, error_code, error,
                                         remedy, error_class, requested_at, ended_at, follows, traceparent)
            -- A risky number gets no further step of its route.
            SELECT e.id, e.verification_id, e.channel, CASE WHEN e.outcome <> 'limited' THEN e.step END,
                   e.outcome, e.attempt, e.error_code, e.error, e.remedy, e.error_class, e.requested_at, now(),
                   e.follows, e.traceparent
              FROM e
             WHERE e.outcome IN ('failed', 'expired', 'canceled', 'limited')
             -- The next step of a route locks the verification. In this order, two batches cannot lock them crosswise.
             ORDER BY e.verification_id
         RETURNING send_job_id
        )
        -- A live job is not in the history, so a row with its id there is another job.
        SELECT count((SELECT true FROM otp.unsent_jobs u WHERE u.send_job_id = ended.send_job_id LIMIT 1))::int
          FROM ended
        """,
        [
            .int8, .int8Array, .int4Array, .textArray, .float8Array, .int4Array, .textArray, .textArray, .textArray,
            .textArray, .float8Array, .timestamptzArray, .float8Array,
        ])

    private var ends: [UnsentEnd] = []

    public init() {}

    /// How many ends are waiting to be recorded.
    public var count: Int { ends.count }

    /// Their jobs.
    public var jobs: [Int64] { ends.map(\.job) }

    /// Whether a job is held by a pause.
    public var holds: Bool { ends.contains { $0.outcome == .hold } }

    /// Adds an end.
    public mutating func append(_ end: UnsentEnd) { ends.append(end) }

    /// Splits this batch in two.
    public func halves() -> (FinishUnsent, FinishUnsent) {
        var (first, second) = (FinishUnsent(), FinishUnsent())
        first.ends = Array(ends.prefix(ends.count / 2))
        second.ends = Array(ends.dropFirst(ends.count / 2))
        return (first, second)
    }

    /// The ends of these jobs, and all others.
    public func separated(_ jobs: Set<Int64>) -> (of: FinishUnsent, others: FinishUnsent) {
        var (of, others) = (FinishUnsent(), FinishUnsent())
        of.ends = ends.filter { jobs.contains($0.job) }
        others.ends = ends.filter { !jobs.contains($0.job) }
        return (of, others)
    }

    /// Job, attempt and outcome of each end, for the log if it cannot be recorded.
    public var names: [(job: Int64, attempt: Int32, result: String)] {
        ends.map { ($0.job, $0.attempt, $0.outcome.rawValue) }
    }

    /// Records them all. Returns how many belong to jobs whose id another job in the history has.
    @discardableResult
    public func run(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError) -> Int {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(ends.lazy.map(\.job))
        parameters.append(ends.lazy.map(\.attempt))
        parameters.append(ends.map(\.outcome.rawValue))
        parameters.append(ends.lazy.map(\.delay.seconds))
        parameters.append(ends.map(\.errorCode))
        parameters.append(ends.map(\.error))
        parameters.append(ends.map(\.remedy))
        parameters.append(ends.map(\.errorClass))
        parameters.append(ends.map(\.holdKey))
        parameters.append(ends.lazy.map(\.rate))
        parameters.appendArray(of: .timestamptz) { array in
            for end in ends {
                if let lease = end.lease { array.append(unixMicroseconds: lease) } else { array.appendNull() }
            }
        }
        parameters.append(ends.lazy.map(\.age.seconds))
        let result = try await connection.execute(
            Self.statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return try row.next()
    }
}

/// The end of one attempt that created no message.
public struct UnsentEnd: Sendable {
    /// The send job.
    public var job: Int64
    /// The attempt.
    public var attempt: Int32
    /// The end of the attempt.
    public var outcome: UnsentOutcome
    /// For a retry: how long until it is due again. For an unknown outcome: how long until the first lookup.
    public var delay: Instant.Duration
    /// Twilio's error code.
    public var errorCode: Int32?
    /// What happened. Never holds a code or a whole number.
    public var error: String?
    /// What to do about it.
    public var remedy: String?
    /// The error class that decided it.
    public var errorClass: String?
    /// For `hold`: the name of the pause. For `deferred`: the sender.
    public var holdKey: String?
    /// For `deferred`: the sender's rate that decided it.
    public var rate: Double
    /// When the claim's lease ends, in microseconds since the Unix epoch (`ClaimedJob.leaseEnd`). Nil matches any
    /// claim.
    public var lease: Int64?
    /// For an unknown outcome: how long ago the attempt could last have left.
    public var age: Instant.Duration

    public init(
        job: Int64, attempt: Int32, lease: Int64? = nil, _ outcome: UnsentOutcome,
        delay: Instant.Duration = .seconds(0),
        age: Instant.Duration = .seconds(0), errorCode: Int32? = nil, error: String? = nil, remedy: String? = nil,
        errorClass: String? = nil, holdKey: String? = nil, rate: Double = 0
    ) {
        self.job = job
        self.attempt = attempt
        self.outcome = outcome
        self.delay = delay
        self.errorCode = errorCode
        self.error = error
        self.remedy = remedy
        self.errorClass = errorClass
        self.holdKey = holdKey
        self.rate = rate
        self.lease = lease
        self.age = age
    }
}
