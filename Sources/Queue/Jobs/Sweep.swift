public import EventLoop
public import Postgres

/// Ends what nobody else will: lost leases become `unknown`, codes that died in the queue `expired`, and the pause for the day's budget (`otp.check_budget`) with the day. Any worker
/// may run it at any time, and several at once share the work.
///
/// An outcome that is unknown when its code dies is decided by a last look at Twilio's list (`TakeUnknown`). Only where none
/// has been made for two minutes after it was due, the sweep ends the job as failed: no worker can look.
///
/// The partial indexes on `lease_expires_at` and `expires_at` serve it, each in its order, and from `start` on, since what
/// ended long ago may be dead entries there that an open transaction of somebody's holds. In batches of 500, so that it
/// never holds locks for long; run again at once while it finds that many.
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
                   -- Its worker's trust ended with the lease: since then nothing of the attempt can leave.
                   unknown_at = j.lease_expires_at, next_lookup_at = now(), lookups = 0, last_error_code = NULL,
                   last_error = 'The worker that was sending it stopped before it could say what became of it.',
                   last_remedy = 'Look in the log of otpd for why it stopped.'
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
        ), gone AS (
            DELETE FROM otp.send_jobs j
             WHERE j.id = ANY (ARRAY (SELECT id FROM expired UNION ALL SELECT id FROM undecided))
         RETURNING j.id, j.verification_id, j.state, j.attempt, j.last_error_code, j.last_error, j.requested_at,
                   j.resend_of
        ), ended AS (
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, error_code, error, remedy,
                                         error_class, requested_at, ended_at, resend_of)
            SELECT id, verification_id, CASE state WHEN 'queued' THEN 'expired' ELSE 'failed' END, attempt,
                   last_error_code,
                   CASE state WHEN 'queued'
                       THEN 'Its code expired before it could be sent.' || coalesce(' Last try: ' || last_error, '')
                       ELSE 'Outcome unknown: it may have been sent, and its code has expired since. '
                            || coalesce(last_error, '') END,
                   CASE state WHEN 'queued'
                       THEN 'Let the user ask for a new code. If many expire, see otp.queue_status for the reason.'
                       ELSE 'Let the user ask for a new code.' END,
                   CASE state WHEN 'queued' THEN 'expired' ELSE 'unknown' END,
                   requested_at, now(), resend_of
              FROM gone
         RETURNING state
        )
        SELECT (SELECT count(*)::int FROM to_unknown),
               count(*) FILTER (WHERE state = 'expired')::int,
               count(*) FILTER (WHERE state = 'failed')::int,
               CASE WHEN $2 THEN (SELECT extract(epoch FROM min(lease_expires_at) - now())::float8
                                    FROM otp.send_jobs
                                   WHERE state = 'sending' AND lease_expires_at >= now()) END,
               otp.check_budget(), now()
          FROM ended
        """,
        [.timestamptz, .bool, .int4, .int8Array])

    /// What a sweep of one job of a kind would take: where it is refused, one of these is at fault.
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

    /// Jobs of a kind in one sweep.
    public static let most = 500

    /// What one sweep ended.
    public struct Swept: Sendable, Equatable {
        /// Jobs whose worker let its lease lapse: now `unknown`.
        public var lostLeases: Int
        /// Jobs whose code died in the queue.
        public var expired: Int
        /// Jobs that stayed unknown, and that no worker has looked for since their code died.
        public var unknownFailed: Int
        /// Until the next lease of anybody's ends; nil while there is none, or it was not asked for.
        public var nextLeaseEnd: Instant.Duration?
        /// Until the pause for the day's budget ends by itself; nil while there is none.
        public var budgetPauseEnd: Instant.Duration?
        /// When it looked, by the database's clock, in microseconds since the Unix epoch.
        public var lookedAt: Int64

        /// Whether there may be more, where at most `limit` of a kind were taken.
        public func isFull(_ limit: Int) -> Bool { max(lostLeases, expired, unknownFailed) >= limit }
    }

    /// Sweeps once: what ended at `start` (microseconds since the Unix epoch, by the database's clock) or later, or all.
    /// An idle worker asks when the next lease ends. At most `limit` of a kind, and none of `excluded`.
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

    /// The jobs that a sweep of one of a kind takes next, apart from those `excluded`.
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
