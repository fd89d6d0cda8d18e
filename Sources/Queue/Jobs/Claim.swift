public import EventLoop
public import Postgres

/// Takes due jobs for one worker: queued → sending, one statement, one commit, before a byte leaves; a second of each where
/// there are shared limits.
///
/// - `otp.send_jobs_due` (due_at, id) WHERE state = 'queued' serves the scan in either order.
/// - At most one job of a verification is `sending` or `unknown` at a time: the first live one. The ids of one
///   verification's jobs are drawn under its row lock (see the trigger), so their order is the order of their commits,
///   and whether one has an earlier job is known since it was made (`has_predecessor`); only then is it looked whether that
///   still lives. By the verification's index: `o.id + 0`, so that no planner prefers to walk through all lower ids.
/// - Dead entries at the front of `send_jobs_due`, which an open transaction of somebody's holds, are stepped over once
///   (`Scan.fromMark`): by `mark`, the lowest due time of any queued job in the same snapshot, at which the scan itself
///   begins. That costs a claim of one job 35 µs more, of 90 in all.
/// - `= ANY (…)` and no join, so that the update finds its rows directly whatever the statistics say: joined, the
///   generic plan read the whole queue (a claim of 256 took 24 ms of CPU at 20,000 jobs, and 8 now). By `ctid`, 0.4 µs a
///   job cheaper than by the key: a row that somebody changed between this statement's snapshot and its lock is not
///   found there, and is claimed the next time. Verifications are found by their key in any case for being compared with
///   `BETWEEN`: equal, they could be read all, in the key's order, by a plan that takes them for few.
/// - What exceeds a shared limit (prefix, country, total, budget) ends as limited: in a second statement, before anything
///   of the claim is handed to anybody, where the first says that there are such limits. In the first it made a claim of
///   one job a tenth slower (217 → 246 µs, cold).
/// - While everything is paused nothing is taken, also by a worker that has not heard of it yet.
/// - The attempt number and the worker are the fencing token; every time is the database's.
/// - What has been canceled, used or replaced is claimed too, with the reason in `death`, and ended by the worker in its
///   next finish. What has expired is not: it is the sweep's.
/// - Codes come sealed, and are opened here (`CodeKeys`): a row sealed under another secret fails alone.
/// - A job whose claim was lost with its worker is quarantined: should it be what stopped the worker, it must not take the
///   same neighbors down again. One quarantined job a claim, and only when the worker has no other in hand;
///   `otp.send_jobs_quarantined` finds it.
public enum Claim {
    /// The channel that notifies of new jobs.
    public static let channel = "otp_send_jobs"

    /// The jobs that have waited longest. The three differ in order and beginning alone: `ClaimTests` holds them together.
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
                                           WHERE o.verification_id = q.verification_id AND o.id + 0 < q.id))
                    ORDER BY q.due_at, q.id
                    LIMIT $1
                      FOR UPDATE OF q SKIP LOCKED))
         RETURNING j.ctid, j.id, j.attempt, j.verification_id, j.requested_at, j.expires_at, j.lost_claims,
                   CASE j.hold_kind WHEN 'pause' THEN j.hold_key END AS probe_of, j.returned, j.lookups
        )
        SELECT c.id, c.attempt, c.verification_id, c.requested_at, now(), c.expires_at,
               v.e164, v.purpose, v.locale, v.sealed_code, v.key_id,
               CASE WHEN v.id IS NULL THEN 'deleted'
                    WHEN v.canceled_at IS NOT NULL THEN 'canceled'
                    WHEN v.verified_at IS NOT NULL THEN 'verified'
                    WHEN EXISTS (SELECT FROM otp.verifications n
                                  WHERE n.subject = v.subject AND n.purpose = v.purpose
                                    AND (n.created_at, n.id) > (v.created_at, v.id)) THEN 'replaced' END,
               c.lost_claims > 0, v.country, c.probe_of, c.attempt - c.returned, c.ctid, c.lookups > 0,
               EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget'))
          FROM claimed c
          LEFT JOIN otp.verifications v ON v.id BETWEEN c.verification_id AND c.verification_id
        """,
        [.int4, .int8, .float8, .bool])

    /// The jobs that were asked for last.
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
                                           WHERE o.verification_id = q.verification_id AND o.id + 0 < q.id))
                    ORDER BY q.due_at DESC, q.id DESC
                    LIMIT $1
                      FOR UPDATE OF q SKIP LOCKED))
         RETURNING j.ctid, j.id, j.attempt, j.verification_id, j.requested_at, j.expires_at, j.lost_claims,
                   CASE j.hold_kind WHEN 'pause' THEN j.hold_key END AS probe_of, j.returned, j.lookups
        )
        SELECT c.id, c.attempt, c.verification_id, c.requested_at, now(), c.expires_at,
               v.e164, v.purpose, v.locale, v.sealed_code, v.key_id,
               CASE WHEN v.id IS NULL THEN 'deleted'
                    WHEN v.canceled_at IS NOT NULL THEN 'canceled'
                    WHEN v.verified_at IS NOT NULL THEN 'verified'
                    WHEN EXISTS (SELECT FROM otp.verifications n
                                  WHERE n.subject = v.subject AND n.purpose = v.purpose
                                    AND (n.created_at, n.id) > (v.created_at, v.id)) THEN 'replaced' END,
               c.lost_claims > 0, v.country, c.probe_of, c.attempt - c.returned, c.ctid, c.lookups > 0,
               EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget'))
          FROM claimed c
          LEFT JOIN otp.verifications v ON v.id BETWEEN c.verification_id AND c.verification_id
        """,
        [.int4, .int8, .float8, .bool])

    /// As `oldestFirst`, from the lowest due time of any queued job on, which is the last column.
    static let fromMark = Statement(
        "otpd_claim_from_mark",
        """
        WITH mark AS MATERIALIZED (
            SELECT least((SELECT min(f.due_at)
                            FROM otp.send_jobs f
                           WHERE f.state = 'queued'
                             AND f.due_at >= coalesce($5, '-infinity')),
                         now()) AS due_at
        ), claimed AS (
            UPDATE otp.send_jobs j
               SET state = 'sending', attempt = j.attempt + 1, worker = $2,
                   lease_expires_at = now() + make_interval(secs => $3)
             WHERE j.ctid = ANY (ARRAY (
                   SELECT q.ctid
                     FROM otp.send_jobs q
                    WHERE q.state = 'queued'
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
                                           WHERE o.verification_id = q.verification_id AND o.id + 0 < q.id))
                    ORDER BY q.due_at, q.id
                    LIMIT $1
                      FOR UPDATE OF q SKIP LOCKED))
         RETURNING j.ctid, j.id, j.attempt, j.verification_id, j.requested_at, j.expires_at, j.lost_claims,
                   CASE j.hold_kind WHEN 'pause' THEN j.hold_key END AS probe_of, j.returned, j.lookups
        )
        SELECT c.id, c.attempt, c.verification_id, c.requested_at, now(), c.expires_at,
               v.e164, v.purpose, v.locale, v.sealed_code, v.key_id,
               CASE WHEN v.id IS NULL THEN 'deleted'
                    WHEN v.canceled_at IS NOT NULL THEN 'canceled'
                    WHEN v.verified_at IS NOT NULL THEN 'verified'
                    WHEN EXISTS (SELECT FROM otp.verifications n
                                  WHERE n.subject = v.subject AND n.purpose = v.purpose
                                    AND (n.created_at, n.id) > (v.created_at, v.id)) THEN 'replaced' END,
               c.lost_claims > 0, v.country, c.probe_of, c.attempt - c.returned, c.ctid, c.lookups > 0,
               EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget')),
               (SELECT m.due_at FROM mark m) - interval '1 second'
          FROM claimed c
          LEFT JOIN otp.verifications v ON v.id BETWEEN c.verification_id AND c.verification_id
        """,
        [.int4, .int8, .float8, .bool, .timestamptz])

    /// Which of some claimed jobs shared limits allow; the others end there.
    static let withinLimits = Statement(
        "otpd_within_limits", "SELECT otp.within_limits($1, $2)", [.int8Array, .int4Array])

    /// In which order the due jobs are taken, and from where on.
    public enum Scan: Sendable, Equatable {
        case oldestFirst, newestFirst
        /// Oldest first from there on, or from the beginning: `ClaimedJobs.lowest` of an earlier claim of this kind (see
        /// `ClaimScanStart`).
        case fromMark(from: Int64?)

        fileprivate var statement: Statement {
            switch self {
            case .oldestFirst: Claim.oldestFirst
            case .newestFirst: Claim.newestFirst
            case .fromMark: Claim.fromMark
            }
        }
    }

    /// Claims at most `limit` jobs for `worker` until `lease` from now; with `quarantined`, one of those may be among them.
    ///
    /// Never canceled: at the deadline the connection is dropped, and what may have been claimed is left to the sweep.
    public static func run(
        on connection: Connection, limit: Int, _ scan: Scan = .oldestFirst, quarantined: Bool,
        worker: Int64, keys: CodeKeys, lease: Instant.Duration, deadline: Instant
    ) async throws(PostgresError) -> ClaimedJobs {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        parameters.append(worker)
        parameters.append(lease.seconds)
        parameters.append(quarantined)
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
                // They are ours by now, and nothing of them has been handed over.
                if case .server = error { try await release(jobs, on: connection, worker: worker, deadline: deadline) }
                throw error
            }
        }
        return ClaimedJobs(
            jobs: jobs,
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
            jobs.append(try ClaimedJob(&row, opener, lease))
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

/// What one claim brought.
public struct ClaimedJobs: Sendable {
    /// The jobs, in no particular order.
    public var jobs: [ClaimedJob]
    /// When the first of all queued jobs that the claim could see was due, itself and others' included, at most now, and a
    /// second less: where a later claim may begin. Of `Scan.fromMark` alone, and nil where there are no jobs.
    public var lowest: Int64?
    /// A warning that came with the commit, such as a synchronous standby that did not confirm: the claim may not be
    /// durable, so nothing of it may be sent.
    public var durabilityWarning: String?
}
