public import EventLoop
public import Postgres

/// Finds the jobs that this worker is sending according to the database, but that it does not have in hand.
///
/// There are two reasons for such a job. The answer of a claim was lost with its connection, so the worker never had
/// the job. Or the database has forgotten how the job ended. Only the worker knows which of the two it is
/// (`HandedOver`). Never run this beside a claim of the same worker, whose answer may be on the way. A claim that the
/// server executes only later is left to the sweep. `otp.send_jobs_leased` serves it.
public enum FindLost {
    static let statement = Statement(
        "otpd_find_lost",
        """
        SELECT id, attempt, lease_expires_at, verification_id, requested_at, lookups > 0
          FROM otp.send_jobs
         WHERE state = 'sending' AND worker = $1 AND id <> ALL ($2::bigint[])
        """,
        [.int8, .int8Array])

    /// All of `worker`'s jobs except those `inHand`.
    public static func run(
        on connection: Connection, worker: Int64, inHand: [Int64], deadline: Instant
    ) async throws(PostgresError) -> [LostJob] {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(inHand)
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return try result.map { row throws(PostgresError) in try LostJob(&row) }
    }
}

/// A job that is `sending`, but that its worker does not have in hand.
public struct LostJob: Sendable {
    /// The send job.
    public let id: Int64
    /// The number of the attempt.
    public let attempt: Int32
    /// When its lease ends, in microseconds since the Unix epoch.
    public let leaseEnd: Int64
    /// The verification.
    public let verificationID: Int64
    /// When the send was requested, in microseconds since the Unix epoch.
    public let requestedAt: Int64
    /// As `ClaimedJob.isResolved`.
    public let isResolved: Bool

    init(_ row: inout RowReader) throws(PostgresError) {
        id = try row.next()
        attempt = try row.next()
        leaseEnd = try row.nextUnixMicroseconds()
        verificationID = try row.next()
        requestedAt = try row.nextUnixMicroseconds()
        isResolved = try row.next()
    }
}
