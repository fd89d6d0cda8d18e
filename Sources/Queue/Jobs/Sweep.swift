public import EventLoop
public import Postgres

/// Ends jobs that no worker ends. Jobs with a lost lease become `unknown`, queued jobs with an expired code `expired`.
/// Also ends the pause for the day's budget with the day (`otp.check_budget`). Any worker may run it at any time, and
/// several at once share the work.
///
/// If the outcome is still unknown when the code expires, one last lookup decides (`TakeUnknown`). Only if that lookup
/// is overdue by two minutes does the sweep end the job as failed, because no worker can look it up.
///
/// The partial indexes on `lease_expires_at` and `expires_at` serve it, each in its order. It begins at `start`,
/// because older entries may be dead ones that another session's open transaction keeps. It runs in batches of 500, so
/// that it never holds locks for long, and again at once while a batch is full.
///
/// A job whose channel no running worker can send by ends as failed after ten seconds (`otp.send_jobs_other_channels`), so
/// that the next step of its route begins.
public enum Sweep {
    static let statement = Statement(
        "otpd_sweep",
        """
        WITH lost AS (
            SELECT id FROM otp.send_jobs
             WHERE state = 'sending' AND lease_expires_at >= coalesce($1, '-infinity') AND lease_expires_at < now()
               AND id <> ALL ($4)
             ORDER BY lease_expires_at
             LIMIT $3 FOR UPDATE SKIP LOCKED
        ), to_unknown AS (
            UPDATE otp.send_jobs j
               SET state = 'unknown', lost_claims = j.lost_claims + 1,
                   -- After the end of its lease nothing of the attempt can leave the worker.
                   unknown_at = j.lease_expires_at, next_lookup_at = now(), lookups = 0, last_error_code = NULL,
                   last_error = 'The worker stopped before it recorded the outcome.',
                   last_remedy = 'Look for the reason in the log of otpd: journalctl -u otpd.'
             WHERE j.id = ANY (ARRAY (SELECT lost.id FROM lost))
         RETURNING 1
        ), expired AS (
            SELECT id FROM otp.send_jobs
             WHERE state = 'queued' AND expires_at >= coalesce($1, '-infinity') AND expires_at <= now()
               AND id <> ALL ($4)
             ORDER BY expires_at
             LIMIT $3 FOR UPDATE SKIP LOCKED
        ), undecided AS (
            SELECT id FROM otp.send_jobs
             WHERE state = 'unknown' AND expires_at <= now() AND next_lookup_at < now() - interval '2 minutes'
               AND id <> ALL ($4)
             ORDER BY next_lookup_at
             LIMIT $3 FOR UPDATE SKIP LOCKED
        ), unserved AS (
            SELECT id FROM otp.send_jobs j
             WHERE state = 'queued' AND channel <> 'sms' AND due_at < now() - interval '10 seconds'
               AND expires_at > now() AND id <> ALL ($4)
               AND NOT EXISTS (SELECT FROM otp.worker_status w
                                WHERE j.channel = ANY (w.channels) AND w.kind = 'worker'
                                  AND w.state NOT IN ('stopped', 'dead')
                                  AND w.heartbeat_at > now() - interval '30 seconds')
             ORDER BY due_at
             LIMIT $3 FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM otp.send_jobs j
             WHERE j.id = ANY (ARRAY (SELECT id FROM expired UNION ALL SELECT id FROM undecided
                                      UNION ALL SELECT id FROM unserved))
         RETURNING j.id, j.verification_id, j.state, j.attempt, j.last_error_code, j.last_error, j.requested_at,
                   j.channel, j.step, j.follows, j.traceparent,
                   CASE WHEN j.state = 'queued' AND j.expires_at > now()
                        THEN format('No running worker can send by %s.', j.channel) END AS unserved
        ), ended AS (
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, channel, step, state, attempts, error_code, error,
                                         remedy, error_class, requested_at, ended_at, follows, traceparent)
            SELECT id, verification_id, channel, step,
                   CASE WHEN unserved IS NULL AND state = 'queued' THEN 'expired' ELSE 'failed' END, attempt,
                   last_error_code,
                   CASE WHEN unserved IS NOT NULL THEN unserved
                        WHEN state = 'queued'
                       THEN 'Its code expired before it could be sent.' || coalesce(' Last try: ' || last_error, '')
                       ELSE 'Outcome unknown: the message may have been sent, and its code has expired since. '
                            || coalesce(last_error, '') END,
                   CASE WHEN unserved IS NOT NULL
                       THEN 'Set OTPD_SMTP_URL for a worker, or remove the channel from otp.routes.'
                        WHEN state = 'queued'
                       THEN 'Let the user ask for a new code. If many expire, see otp.queue_status for the reason.'
                       ELSE 'Let the user ask for a new code.' END,
                   CASE WHEN unserved IS NOT NULL THEN 'unserved_channel'
                        WHEN state = 'queued' THEN 'expired' ELSE 'unknown' END,
                   requested_at, now(), follows, traceparent
              FROM gone
             ORDER BY verification_id
         RETURNING state, error_class
        )
        SELECT (SELECT count(*)::int FROM to_unknown),
               count(*) FILTER (WHERE state = 'expired')::int,
               count(*) FILTER (WHERE error_class = 'unknown')::int,
               CASE WHEN $2 THEN (SELECT extract(epoch FROM min(lease_expires_at) - now())::float8
                                    FROM otp.send_jobs
                                   WHERE state = 'sending' AND lease_expires_at >= now()) END,
               otp.check_budget(), now()
          FROM ended
        """,
        [.timestamptz, .bool, .int4, .int8Array])

    /// The jobs that a sweep of one job of each kind would take. If that sweep is refused, one of these is the cause.
    static let next = Statement(
        "otpd_sweep_next",
        """
        SELECT unnest(ARRAY [
            (SELECT id FROM otp.send_jobs
              WHERE state = 'sending' AND lease_expires_at < now() AND id <> ALL ($1)
              ORDER BY lease_expires_at LIMIT 1 FOR UPDATE SKIP LOCKED),
            (SELECT id FROM otp.send_jobs
              WHERE state = 'queued' AND expires_at <= now() AND id <> ALL ($1)
              ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED),
            (SELECT id FROM otp.send_jobs
              WHERE state = 'unknown' AND lease_expires_at < now() AND expires_at <= now() AND id <> ALL ($1)
              ORDER BY next_lookup_at LIMIT 1 FOR UPDATE SKIP LOCKED)])
        """, [.int8Array])

    /// The most jobs of a kind in one sweep.
    public static let most = 500

    /// The result of one sweep.
    public struct Swept: Sendable, Equatable {
        /// Jobs whose lease ended: now `unknown`.
        public var lostLeases: Int
        /// Queued jobs whose code expired.
        public var expired: Int
        /// Jobs that stayed unknown, and that no worker has looked up since their code expired.
        public var unknownFailed: Int
        /// Until the next lease of any worker ends. Nil if there is none, or if it was not asked for.
        public var nextLeaseEnd: Instant.Duration?
        /// Until the pause for the day's budget ends by itself; nil if there is none.
        public var budgetPauseEnd: Instant.Duration?
        /// The time of the sweep, by the database's clock, in microseconds since the Unix epoch.
        public var lookedAt: Int64

        /// Whether there may be more, given that at most `limit` of a kind were taken.
        public func isFull(_ limit: Int) -> Bool { max(lostLeases, expired, unknownFailed) >= limit }
    }

    /// Sweeps once. Takes jobs that ended at `start` or later (microseconds since the Unix epoch, by the database's
    /// clock), or all. An idle worker asks when the next lease ends. Takes at most `limit` of a kind, and none of
    /// `excluded`.
    public static func run(
        on connection: Connection, from start: Int64?, isIdle: Bool, limit: Int = most, excluded: [Int64] = [],
        deadline: Instant
    ) async throws(PostgresError) -> Swept {
        var parameters = Parameters()
        if let start { parameters.append(unixMicroseconds: start) } else { parameters.appendNull() }
        parameters.append(isIdle)
        parameters.append(Int32(limit))
        parameters.append(excluded)
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return Swept(
            lostLeases: try row.next(), expired: try row.next(),
            unknownFailed: try row.next(),
            nextLeaseEnd: (try row.next() as Double?).map { Instant.Duration(seconds: $0) },
            budgetPauseEnd: (try row.next() as Double?).map { Instant.Duration(seconds: $0) },
            lookedAt: try row.nextUnixMicroseconds())
    }

    /// The jobs that a sweep of one of each kind takes next, without those `excluded`.
    public static func next(on connection: Connection, excluded: [Int64], deadline: Instant)
        async throws(PostgresError) -> [Int64]
    {
        var parameters = Parameters()
        parameters.append(excluded)
        let result = try await connection.execute(
            next, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return try result.map { row throws(PostgresError) -> Int64? in try row.next() }.compactMap(\.self)
    }
}
