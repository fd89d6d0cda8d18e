public import EventLoop
public import Postgres

/// Gives a worker process its number from a sequence, so that no two processes share one, whatever host they run on.
public enum Register {
    static let statement = Statement(
        "otpd_register",
        "SELECT nextval('otp.worker_ids')", [])

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Int64 {
        let result = try await connection.execute(statement, Parameters(), deadline: deadline, onDeadline: .drop)
        return try result.int64(0, 0)
    }

    static let known = Statement(
        "otpd_is_registered",
        "SELECT EXISTS (SELECT FROM otp.worker_status WHERE worker_id = $1 AND host = $2 AND pid = $3)",
        [.int8, .text, .int4])

    /// Whether a number still belongs to this process. A promoted standby that lacks its row may give the number to
    /// another process.
    public static func isKnown(_ worker: Int64, host: String, pid: Int32, on connection: Connection, deadline: Instant)
        async throws(PostgresError) -> Bool
    {
        var parameters = Parameters()
        parameters.append(worker)
        parameters.append(host)
        parameters.append(pid)
        return try await connection.execute(known, parameters, deadline: deadline).bool(0, 0)
    }
}
