public import EventLoop
public import Postgres

/// Finds the jobs that another session holds, without waiting. So locked rows cost a batch of results one short wait,
/// however many there are.
///
/// A row that cannot be locked at once is held by another session; a deleted row is not. The locks taken here end with
/// the statement. The primary key serves it.
public enum FindLocked {
    static let statement = Statement(
        "otpd_find_locked",
        """
        WITH free AS MATERIALIZED (
            SELECT j.id FROM otp.send_jobs j WHERE j.id = ANY ($1) FOR UPDATE SKIP LOCKED
        )
        SELECT j.id FROM otp.send_jobs j WHERE j.id = ANY ($1) AND j.id + 0 <> ALL (ARRAY (SELECT f.id FROM free f))
        """, [.int8Array])

    /// The jobs of `jobs` that another session holds.
    public static func run(on connection: Connection, _ jobs: [Int64], deadline: Instant)
        async throws(PostgresError) -> Set<Int64>
    {
        var parameters = Parameters()
        parameters.append(jobs)
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return Set(try result.map { row throws(PostgresError) -> Int64 in try row.next() })
    }
}
