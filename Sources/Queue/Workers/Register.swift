public import EventLoop
public import Postgres

/// Gives a worker process its number, from a sequence: no two processes ever share one, whatever host they run on.
public enum Register {
    static let statement = Statement(
        "otpd_register",
        "SELECT nextval('otp.worker_ids')", [])

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Int64 {
        let result = try await connection.execute(statement, Parameters(), deadline: deadline, onDeadline: .drop)
        return try result.int64(0, 0)
    }
}
