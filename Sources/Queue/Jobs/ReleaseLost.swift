public import EventLoop
public import Postgres

/// Gives back what this worker claimed and never heard of: a claim whose answer was lost with its connection.
///
/// A worker hands over only what a claim's answer brought it. So a job that is `sending` under its number and that it
/// does not hold was certainly not sent, and need not wait for its lease and the resolver. Never beside a claim of the
/// same worker: its answer may be on the way. A claim that the server carries out only later is the sweep's.
/// `otp.send_jobs_leased` serves it.
public enum ReleaseLost {
    static let statement = Statement(
        "otpd_release_lost",
        """
        WITH released AS (
            UPDATE otp.send_jobs
               SET state = 'queued', worker = NULL, lease_expires_at = NULL, due_at = now(), returned = returned + 1
             WHERE state = 'sending' AND worker = $1 AND id <> ALL ($2::bigint[])
         RETURNING 1
        )
        SELECT count(*)::int FROM released
        """,
        [.int8, .int8Array])

    /// Gives back all of `worker`'s but those `inHand`; how many.
    public static func run(
        on connection: Connection, worker: Int64, inHand: [Int64], deadline: Instant
    ) async throws(PostgresError) -> Int {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(inHand)
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return Int(try result.int32(0, 0))
    }
}
