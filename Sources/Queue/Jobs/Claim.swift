public import EventLoop
public import OTP
public import Postgres

/// Claims due jobs for one worker: queued → sending, in one statement and one commit, before a byte leaves. If there
/// are shared limits, a second statement and commit follow.
///
/// - `otp.send_jobs_due` (due_at, id) WHERE state = 'queued' serves the scan in either order.
/// - At most one job of a verification and a channel is `sending` or `unknown` at a time: the first live one. The ids
///   of one verification's jobs are drawn under its row lock (see the trigger). Their order is that of their commits.
///   Each job records at its insert whether it has an earlier job (`has_predecessor`). Only then does the claim check
///   whether that one is still live, by the verification's index. `o.id + 0` keeps the planner from walking through all
///   lower ids. An earlier job of another channel holds nothing up: its channel may be paused, or in an outage.
/// - Only jobs of the given channels are claimed. A worker without a mail server leaves e-mails to others.
/// - Dead entries at the front of `send_jobs_due`, which another session's open transaction keeps, are skipped
///   (`Scan.fromMark`). The scan begins at `mark`, the lowest due time of any queued job in the same snapshot. That
///   costs a claim of one job 50 µs more, of 160 in all.
/// - `= ANY (…)` instead of a join lets the update find its rows directly, whatever the statistics say. With a join,
///   the generic plan read the whole queue (a claim of 256 took 24 ms of CPU at 20,000 jobs instead of 8). `ctid` is
///   0.4 µs a job cheaper than the key. A row that changed between this statement's snapshot and its lock is not found
///   there, and is claimed the next time. Verifications are always found by their key, because they are compared with
///   `BETWEEN`. With an equality, a plan that expects few of them could read them all in the key's order.
/// - A job beyond a shared limit (prefix, country, total, budget) ends as limited. A second statement does this before
///   any job of the claim is returned, and only if the first reports that such limits exist. Inside the first it made a
///   claim of one job a tenth slower (217 → 246 µs, cold).
/// - Jobs that are claimed for the first time are judged before any of them leaves (`otp.judge_sends`). Jobs of a key whose codes
///   are sent and not used end as limited within the claim. It is one call for all jobs, and none without such limits.
///   Jobs that a hold let through may have to be looked up first (`ClaimedJob.maxRisk`).
/// - While everything is paused no job is claimed, even by a worker that has not been notified yet.
/// - The attempt number and the worker are the fencing token. Every time is the database's.
/// - A canceled, used or replaced code's job is claimed too, with its `endReason`. The worker ends it with its next
///   finish. Expired jobs are left to the sweep.
/// - Codes arrive sealed, and are opened here (`CodeKeys`). A row sealed with another secret fails alone.
/// - A job whose claim was lost with its worker is quarantined. If it stops workers, it must not take the same
///   neighbors down again. So a claim takes one quarantined job, and only if the worker has no other in hand.
///   `otp.send_jobs_quarantined` finds it.
public enum Claim {
    /// The channel that notifies of new jobs.
    public static let channel = "otp_send_jobs"

    /// The jobs that have waited longest. The three statements differ only in order and beginning, which `ClaimTests`
    /// checks.
    static let oldestFirst = Statement(
        "otpd_claim",
        """
        WITH claimed AS (
            UPDATE otp.send_jobs j
               SET state = 'sending', attempt = j.attempt + 1, worker = $2,
                   lease_expires_at = now() + make_interval(secs => $3)
             WHERE j.ctid = ANY (ARRAY (
                   SELECT q.ctid
                     FROM otp.send_jobs q
                    WHERE q.state = 'queued'
                      AND q.channel = ANY ($5)
                      AND q.due_at <= now()
                      AND q.expires_at > now()
                      AND NOT EXISTS (SELECT FROM otp.pauses p WHERE p.name IN ('all', 'budget'))
                      AND (q.lost_claims = 0
                           OR q.id = ANY (ARRAY (SELECT s.id
                                                   FROM otp.send_jobs s
                                                  WHERE $4 AND s.state = 'queued' AND s.lost_claims > 0
                                                    AND s.due_at <= now() AND s.expires_at > now()
                                                  ORDER BY s.due_at
                                                  LIMIT 1)))
                      AND (NOT q.has_predecessor
                           OR NOT EXISTS (SELECT FROM otp.send_jobs o
                                           WHERE o.verification_id = q.verification_id AND o.id + 0 < q.id
                                             AND o.channel = q.channel))
                    ORDER BY q.due_at, q.id
                    LIMIT $1
                      FOR UPDATE OF q SKIP LOCKED))
         RETURNING j.ctid, j.id, j.attempt, j.verification_id, j.requested_at, j.expires_at, j.lost_claims,
                   CASE j.hold_kind WHEN 'pause' THEN j.hold_key END AS probe_of, j.returned, j.lookups,
                   j.channel, j.traceparent, j.follows
        ), found AS MATERIALIZED (
            SELECT c.*, v.e164, v.purpose, v.locale, v.sealed_code, v.key_id, v.country, v.email, v.client_ip, v.created_at,
                   CASE WHEN v.id IS NULL THEN 'deleted'
                        WHEN v.canceled_at IS NOT NULL THEN 'canceled'
                        WHEN v.verified_at IS NOT NULL THEN 'verified'
                        WHEN EXISTS (SELECT FROM otp.verifications n
                                      WHERE n.subject = v.subject AND n.purpose = v.purpose
                                        AND (n.created_at, n.id) > (v.created_at, v.id)) THEN 'replaced'
                        WHEN EXISTS (SELECT FROM otp.test_numbers t
                                      WHERE t.e164 = v.e164 AND t.expires_at > now()) THEN 'test' END AS end_reason
              FROM claimed c
              LEFT JOIN otp.verifications v ON v.id BETWEEN c.verification_id AND c.verification_id
        ), judged AS MATERIALIZED (
            SELECT CASE WHEN otp.counts_use()
                        THEN otp.judge_sends(ARRAY (
                             SELECT (f.id, f.e164, f.country, f.client_ip, f.channel, f.created_at)::otp.claimed_send
                               FROM found f
                              WHERE f.attempt = 1 AND f.end_reason IS NULL)) END AS judgement
        )
        SELECT f.id, f.attempt, f.verification_id, f.requested_at, now(), f.expires_at,
               f.e164, f.purpose, f.locale, f.sealed_code, f.key_id, f.end_reason,
               f.lost_claims > 0, f.country, f.probe_of, f.attempt - f.returned, f.ctid, f.lookups > 0,
               f.channel, f.email, f.traceparent, f.follows,
               CASE WHEN f.id = ANY ((j.judgement).suspicious) THEN (j.judgement).max_risk_score END,
               coalesce(f.id = ANY ((j.judgement).refused), false),
               EXISTS (SELECT FROM otp.limits l
                        WHERE l.scope IN ('prefix', 'country', 'total', 'budget') AND l.times_usual IS NULL)
          FROM found f CROSS JOIN judged j
        """,
        [.int4, .int8, .float8, .bool, .textArray])

    /// The jobs that were requested last.
    static let newestFirst = Statement(
        "otpd_claim_newest",
        """
        WITH claimed AS (
            UPDATE otp.send_jobs j
               SET state = 'sending', attempt = j.attempt + 1, worker = $2,
                   lease_expires_at = now() + make_interval(secs => $3)
             WHERE j.ctid = ANY (ARRAY (
                   SELECT q.ctid
                     FROM otp.send_jobs q
                    WHERE q.state = 'queued'
                      AND q.channel = ANY ($5)
                      AND q.due_at <= now()
                      AND q.expires_at > now()
                      AND NOT EXISTS (SELECT FROM otp.pauses p WHERE p.name IN ('all', 'budget'))
                      AND (q.lost_claims = 0
                           OR q.id = ANY (ARRAY (SELECT s.id
                                                   FROM otp.send_jobs s
                                                  WHERE $4 AND s.state = 'queued' AND s.lost_claims > 0
                                                    AND s.due_at <= now() AND s.expires_at > now()
                                                  ORDER BY s.due_at
                                                  LIMIT 1)))
                      AND (NOT q.has_predecessor
                           OR NOT EXISTS (SELECT FROM otp.send_jobs o
                                           WHERE o.verification_id = q.verification_id AND o.id + 0 < q.id
                                             AND o.channel = q.channel))
                    ORDER BY q.due_at DESC, q.id DESC
                    LIMIT $1
                      FOR UPDATE OF q SKIP LOCKED))
         RETURNING j.ctid, j.id, j.attempt, j.verification_id, j.requested_at, j.expires_at, j.lost_claims,
                   CASE j.hold_kind WHEN 'pause' THEN j.hold_key END AS probe_of, j.returned, j.lookups,
                   j.channel, j.traceparent, j.follows
        ), found AS MATERIALIZED (
            SELECT c.*, v.e164, v.purpose, v.locale, v.sealed_code, v.key_id, v.country, v.email, v.client_ip, v.created_at,
                   CASE WHEN v.id IS NULL THEN 'deleted'
                        WHEN v.canceled_at IS NOT NULL THEN 'canceled'
                        WHEN v.verified_at IS NOT NULL THEN 'verified'
                        WHEN EXISTS (SELECT FROM otp.verifications n
                                      WHERE n.subject = v.subject AND n.purpose = v.purpose
                                        AND (n.created_at, n.id) > (v.created_at, v.id)) THEN 'replaced'
                        WHEN EXISTS (SELECT FROM otp.test_numbers t
                                      WHERE t.e164 = v.e164 AND t.expires_at > now()) THEN 'test' END AS end_reason
              FROM claimed c
              LEFT JOIN otp.verifications v ON v.id BETWEEN c.verification_id AND c.verification_id
        ), judged AS MATERIALIZED (
            SELECT CASE WHEN otp.counts_use()
                        THEN otp.judge_sends(ARRAY (
                             SELECT (f.id, f.e164, f.country, f.client_ip, f.channel, f.created_at)::otp.claimed_send
                               FROM found f
                              WHERE f.attempt = 1 AND f.end_reason IS NULL)) END AS judgement
        )
        SELECT f.id, f.attempt, f.verification_id, f.requested_at, now(), f.expires_at,
               f.e164, f.purpose, f.locale, f.sealed_code, f.key_id, f.end_reason,
               f.lost_claims > 0, f.country, f.probe_of, f.attempt - f.returned, f.ctid, f.lookups > 0,
               f.channel, f.email, f.traceparent, f.follows,
               CASE WHEN f.id = ANY ((j.judgement).suspicious) THEN (j.judgement).max_risk_score END,
               coalesce(f.id = ANY ((j.judgement).refused), false),
               EXISTS (SELECT FROM otp.limits l
                        WHERE l.scope IN ('prefix', 'country', 'total', 'budget') AND l.times_usual IS NULL)
          FROM found f CROSS JOIN judged j
        """,
        [.int4, .int8, .float8, .bool, .textArray])

    /// Like `oldestFirst`, but from the lowest due time of any queued job on. That time is the last column.
    static let fromMark = Statement(
        "otpd_claim_from_mark",
        """
        WITH mark AS MATERIALIZED (
            SELECT least((SELECT min(f.due_at)
                            FROM otp.send_jobs f
                           WHERE f.state = 'queued'
                             AND f.due_at >= coalesce($6, '-infinity')),
                         now()) AS due_at
        ), claimed AS (
            UPDATE otp.send_jobs j
               SET state = 'sending', attempt = j.attempt + 1, worker = $2,
                   lease_expires_at = now() + make_interval(secs => $3)
             WHERE j.ctid = ANY (ARRAY (
                   SELECT q.ctid
                     FROM otp.send_jobs q
                    WHERE q.state = 'queued'
                      AND q.channel = ANY ($5)
                      AND q.due_at <= now()
                      AND q.expires_at > now()
                      AND q.due_at >= (SELECT m.due_at FROM mark m)
                      AND NOT EXISTS (SELECT FROM otp.pauses p WHERE p.name IN ('all', 'budget'))
                      AND (q.lost_claims = 0
                           OR q.id = ANY (ARRAY (SELECT s.id
                                                   FROM otp.send_jobs s
                                                  WHERE $4 AND s.state = 'queued' AND s.lost_claims > 0
                                                    AND s.due_at <= now() AND s.expires_at > now()
                                                  ORDER BY s.due_at
                                                  LIMIT 1)))
                      AND (NOT q.has_predecessor
                           OR NOT EXISTS (SELECT FROM otp.send_jobs o
                                           WHERE o.verification_id = q.verification_id AND o.id + 0 < q.id
                                             AND o.channel = q.channel))
                    ORDER BY q.due_at, q.id
                    LIMIT $1
                      FOR UPDATE OF q SKIP LOCKED))
         RETURNING j.ctid, j.id, j.attempt, j.verification_id, j.requested_at, j.expires_at, j.lost_claims,
                   CASE j.hold_kind WHEN 'pause' THEN j.hold_key END AS probe_of, j.returned, j.lookups,
                   j.channel, j.traceparent, j.follows
        ), found AS MATERIALIZED (
            SELECT c.*, v.e164, v.purpose, v.locale, v.sealed_code, v.key_id, v.country, v.email, v.client_ip, v.created_at,
                   CASE WHEN v.id IS NULL THEN 'deleted'
                        WHEN v.canceled_at IS NOT NULL THEN 'canceled'
                        WHEN v.verified_at IS NOT NULL THEN 'verified'
                        WHEN EXISTS (SELECT FROM otp.verifications n
                                      WHERE n.subject = v.subject AND n.purpose = v.purpose
                                        AND (n.created_at, n.id) > (v.created_at, v.id)) THEN 'replaced'
                        WHEN EXISTS (SELECT FROM otp.test_numbers t
                                      WHERE t.e164 = v.e164 AND t.expires_at > now()) THEN 'test' END AS end_reason
              FROM claimed c
              LEFT JOIN otp.verifications v ON v.id BETWEEN c.verification_id AND c.verification_id
        ), judged AS MATERIALIZED (
            SELECT CASE WHEN otp.counts_use()
                        THEN otp.judge_sends(ARRAY (
                             SELECT (f.id, f.e164, f.country, f.client_ip, f.channel, f.created_at)::otp.claimed_send
                               FROM found f
                              WHERE f.attempt = 1 AND f.end_reason IS NULL)) END AS judgement
        )
        SELECT f.id, f.attempt, f.verification_id, f.requested_at, now(), f.expires_at,
               f.e164, f.purpose, f.locale, f.sealed_code, f.key_id, f.end_reason,
               f.lost_claims > 0, f.country, f.probe_of, f.attempt - f.returned, f.ctid, f.lookups > 0,
               f.channel, f.email, f.traceparent, f.follows,
               CASE WHEN f.id = ANY ((j.judgement).suspicious) THEN (j.judgement).max_risk_score END,
               coalesce(f.id = ANY ((j.judgement).refused), false),
               EXISTS (SELECT FROM otp.limits l
                        WHERE l.scope IN ('prefix', 'country', 'total', 'budget') AND l.times_usual IS NULL),
               (SELECT m.due_at FROM mark m) - interval '1 second'
          FROM found f CROSS JOIN judged j
        """,
        [.int4, .int8, .float8, .bool, .textArray, .timestamptz])

    /// The claimed jobs that the shared limits allow. The other jobs end here.
    static let withinLimits = Statement(
        "otpd_within_limits", "SELECT otp.within_limits($1, $2)", [.int8Array, .int4Array])

    /// The order in which due jobs are claimed, and where the scan begins.
    public enum Scan: Sendable, Equatable {
        case oldestFirst, newestFirst
        /// Oldest first from this due time on, or from the beginning. The value is `ClaimedJobs.lowest` of an earlier
        /// claim of this kind (see `ClaimScanStart`).
        case fromMark(from: Int64?)

        fileprivate var statement: Statement {
            switch self {
            case .oldestFirst: Claim.oldestFirst
            case .newestFirst: Claim.newestFirst
            case .fromMark: Claim.fromMark
            }
        }
    }

    /// Claims at most `limit` jobs of `channels` for `worker` until `lease` from now. With `quarantined`, one quarantined job may be
    /// among them.
    ///
    /// Never canceled. At the deadline the connection is dropped, and the sweep handles any jobs that were claimed.
    public static func run(
        on connection: Connection, limit: Int, _ scan: Scan = .oldestFirst, quarantined: Bool,
        channels: [OTP.Channel], worker: Int64, keys: CodeKeys, lease: Instant.Duration, deadline: Instant
    ) async throws(PostgresError) -> ClaimedJobs {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        parameters.append(worker)
        parameters.append(lease.seconds)
        parameters.append(quarantined)
        parameters.append(channels.map { Optional($0.rawValue) })
        var tellsLowest = false
        if case .fromMark(let start) = scan {
            if let start { parameters.append(unixMicroseconds: start) } else { parameters.appendNull() }
            tellsLowest = true
        }
        let result = try await connection.execute(
            scan.statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        let claimed = try read(result, keys, lease, tellsLowest)
        var jobs = claimed.jobs
        if claimed.isLimited {
            do {
                let allowed = try await Self.allowed(jobs, on: connection, deadline: deadline)
                jobs.removeAll { !allowed.contains($0.id) }
            } catch {
                // This worker has claimed them, but none has been handed over.
                if case .server = error { try await release(jobs, on: connection, worker: worker, deadline: deadline) }
                throw error
            }
        }
        return ClaimedJobs(
            jobs: jobs,
            ended: result.rowCount - jobs.count,
            lowest: claimed.lowest,
            durabilityWarning: result.notices.first { $0.severity == "WARNING" }?.message)
    }

    private static func read(
        _ result: QueryResult, _ keys: CodeKeys, _ lease: Instant.Duration, _ tellsLowest: Bool
    ) throws(PostgresError) -> (jobs: [ClaimedJob], isLimited: Bool, lowest: Int64?) {
        var jobs: [ClaimedJob] = []
        guard result.rowCount > 0 else { return (jobs, false, nil) }
        jobs.reserveCapacity(result.rowCount)
        var isLimited = false
        var lowest: Int64?
        let opener = keys.opener()
        for index in 0..<result.rowCount {
            var row = result.reader(index)
            let job = try ClaimedJob(&row, opener, lease)
            let isHeldBack: Bool = try row.next()
            if !isHeldBack { jobs.append(job) }
            guard index == 0 else { continue }
            isLimited = try row.next()
            if tellsLowest { lowest = try row.nextUnixMicroseconds() }
        }
        return (jobs, isLimited, lowest)
    }

    private static func release(
        _ jobs: [ClaimedJob], on connection: Connection, worker: Int64, deadline: Instant
    ) async throws(PostgresError) {
        var ends = FinishUnsent()
        for job in jobs { ends.append(UnsentEnd(job: job.id, attempt: job.attempt, lease: job.leaseEnd, .release)) }
        try await ends.run(on: connection, worker: worker, deadline: deadline)
    }

    private static func allowed(_ jobs: [ClaimedJob], on connection: Connection, deadline: Instant)
        async throws(PostgresError) -> Set<Int64>
    {
        var parameters = Parameters()
        parameters.append(jobs.lazy.map(\.id))
        parameters.append(jobs.lazy.map(\.attempt))
        let result = try await connection.execute(
            withinLimits, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return Set(try result.map { row throws(PostgresError) -> Int64 in try row.next() })
    }
}

/// The result of one claim.
public struct ClaimedJobs: Sendable {
    /// The jobs, in no particular order.
    public var jobs: [ClaimedJob]
    /// How many more jobs the claim found. They have ended as limited.
    public var ended = 0
    /// Where a later claim may begin: the lowest due time of all queued jobs that the claim saw, claimed ones included,
    /// at most now, less one second. Only set for `Scan.fromMark`, and nil if there are no jobs.
    public var lowest: Int64?
    /// A warning that came with the commit, such as that a synchronous standby did not confirm. The claim may not be
    /// durable, so none of its jobs may be sent.
    public var durabilityWarning: String?
}
