public import EventLoop
public import OTP
public import Postgres

/// Takes due jobs for one worker: queued → sending, one statement, one commit, before a byte leaves; a second of each where
/// there are shared limits.
///
/// - `otp.send_jobs_due` (due_at, id) WHERE state = 'queued' serves the scan in either order.
/// - At most one job of a verification is `sending` or `unknown` at a time: the first live one. The ids of one
///   verification's jobs are drawn under its row lock (see the trigger), so their order is the order of their commits,
///   and whether one has an elder is known since it was made (`has_elder`); only then is it looked whether that still
///   lives. By the verification's index: `o.id + 0`, so that no planner prefers to walk through all lower ids.
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
///   same neighbors down again. One such job a claim, and only when the worker has no other in hand;
///   `otp.send_jobs_suspect` finds it.
public enum Claim {
    /// The channel that notifies of new jobs.
    public static let channel = "otp_send_jobs"

    /// - Parameters:
    ///   - lowest: the lowest due time of a queued job, at most now: below it there is nothing to claim.
    ///   - above: a condition that says so.
    private static func sql(order: String, lowest: String, above: String) -> String {
        """
        WITH \(lowest) claimed AS (
            UPDATE otp.send_jobs j
               SET state = 'sending', attempt = j.attempt + 1, worker = $2,
                   lease_expires_at = now() + make_interval(secs => $3)
             WHERE j.ctid = ANY (ARRAY (
                   SELECT q.ctid
                     FROM otp.send_jobs q
                    WHERE q.state = 'queued'
                      AND q.due_at <= now()
                      AND q.expires_at > now()\(above)
                      AND NOT EXISTS (SELECT FROM otp.pauses p WHERE p.name IN ('all', 'budget'))
                      AND (q.lost_claims = 0
                           OR q.id = ANY (ARRAY (SELECT s.id
                                                   FROM otp.send_jobs s
                                                  WHERE $4 AND s.state = 'queued' AND s.lost_claims > 0
                                                    AND s.due_at <= now() AND s.expires_at > now()
                                                  ORDER BY s.due_at
                                                  LIMIT 1)))
                      AND (NOT q.has_elder
                           OR NOT EXISTS (SELECT FROM otp.send_jobs o
                                           WHERE o.verification_id = q.verification_id AND o.id + 0 < q.id))
                    ORDER BY \(order)
                    LIMIT $1
                      FOR UPDATE OF q SKIP LOCKED))
         RETURNING j.ctid, j.id, j.attempt, j.verification_id, j.requested_at, j.expires_at, j.lost_claims, j.held_by,
                   j.returned, j.looks
        )
        SELECT c.id, c.attempt, c.verification_id, c.requested_at, now(), c.expires_at,
               v.e164, v.purpose, v.locale, v.sealed_code, v.key_id,
               CASE WHEN v.id IS NULL THEN 'deleted'
                    WHEN v.canceled_at IS NOT NULL THEN 'canceled'
                    WHEN v.verified_at IS NOT NULL THEN 'verified'
                    WHEN EXISTS (SELECT FROM otp.verifications n
                                  WHERE n.subject = v.subject AND n.purpose = v.purpose
                                    AND (n.created_at, n.id) > (v.created_at, v.id)) THEN 'replaced' END,
               c.lost_claims, v.country, c.held_by, c.attempt - c.returned, c.ctid,
               c.looks > 0,
               EXISTS (SELECT FROM otp.limits l WHERE l.scope IN ('prefix', 'country', 'total', 'budget'))\(above.isEmpty ? "" : ", (SELECT m.due_at FROM mark m) - interval '1 second'")
          FROM claimed c
          LEFT JOIN otp.verifications v ON v.id BETWEEN c.verification_id AND c.verification_id
        """
    }

    static let oldestFirst = Statement(
        "otpd_claim", sql(order: "q.due_at, q.id", lowest: "", above: ""), [.int4, .int8, .float8, .bool])
    static let newestFirst = Statement(
        "otpd_claim_newest", sql(order: "q.due_at DESC, q.id DESC", lowest: "", above: ""),
        [.int4, .int8, .float8, .bool])
    static let fromMark = Statement(
        "otpd_claim_past_dead",
        sql(
            order: "q.due_at, q.id",
            lowest: """
                mark AS MATERIALIZED (
                    SELECT least((SELECT min(f.due_at)
                                    FROM otp.send_jobs f
                                   WHERE f.state = 'queued'
                                     AND f.due_at >= coalesce($5, '-infinity')),
                                 now()) AS due_at
                ),
                """,
            above: "\n                      AND q.due_at >= (SELECT m.due_at FROM mark m)"),
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

    /// Claims at most `limit` jobs for `worker` until `lease` from now; with `quarantined`, one quarantined job may be among them.
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
        var jobs = try read(result, keys, lease)
        let isLimited = jobs.isEmpty ? false : try result.bool(0, 18)
        if isLimited {
            do {
                let allowed = try await Self.allowed(jobs, on: connection, deadline: deadline)
                jobs.removeAll { !allowed.contains($0.id) }
            } catch {
                // They are ours by now, and nothing of them has been handed over.
                if case .server = error { try await release(jobs, on: connection, worker: worker, deadline: deadline) }
                throw error
            }
        }
        // Of the first row: what a claim brought, and not what limits left of it.
        let lowest = tellsLowest && result.rowCount > 0 ? try result.unixMicroseconds(0, 19) : nil
        return ClaimedJobs(
            jobs: jobs,
            lowest: lowest,
            durabilityWarning: result.notices.first { $0.severity == "WARNING" }?.message)
    }

    private static func read(_ result: QueryResult, _ keys: CodeKeys, _ lease: Instant.Duration)
        throws(PostgresError) -> [ClaimedJob]
    {
        guard result.rowCount > 0 else { return [] }
        var jobs: [ClaimedJob] = []
        jobs.reserveCapacity(result.rowCount)
        let opener = keys.opener()
        for row in 0..<result.rowCount { jobs.append(try ClaimedJob(result, row, opener, lease)) }
        return jobs
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
        var allowed: Set<Int64> = []
        for row in 0..<result.rowCount { allowed.insert(try result.int64(row, 0)) }
        return allowed
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

    init(_ result: QueryResult, _ row: Int, _ opener: borrowing CodeKeys.Opener, _ lease: Instant.Duration)
        throws(PostgresError)
    {
        id = try result.int64(row, 0)
        attempt = try result.int32(row, 1)
        verificationID = try result.int64(row, 2)
        requestedAt = try result.unixMicroseconds(row, 3)
        let claimedAt = try result.unixMicroseconds(row, 4)
        leaseEnd = claimedAt + lease.nanoseconds / 1000
        age = Instant.Duration(nanoseconds: (claimedAt - requestedAt) * 1000)
        life = Instant.Duration(nanoseconds: (try result.unixMicroseconds(row, 5) - claimedAt) * 1000)
        let number = try result.stringIfPresent(row, 6) ?? ""
        recipient = Result { () throws(PhoneNumber.FormError) in try PhoneNumber(e164: number) }
        purpose = try result.stringIfPresent(row, 7) ?? ""
        locale = try result.stringIfPresent(row, 8) ?? ""
        code = opener.code(result, row, sealed: 9, keyID: 10)
        death = try result.stringIfPresent(row, 11).flatMap(Death.init)
        isQuarantined = try result.int32(row, 12) > 0
        country = try result.stringIfPresent(row, 13) ?? ""
        probeOf = try result.stringIfPresent(row, 14)
        tries = try result.int32(row, 15)
        place = try result.tupleID(row, 16)
        isResolved = try result.bool(row, 17)
    }
}
