public import EventLoop
public import Postgres

/// Deletes history older than `otp.settings` keeps it (`otp.prune`, columns `keep_…`), a batch at a time.
///
/// Any number of workers may ask. One of them gets the turn, about once an hour, and it never waits for a lock.
public enum Prune {
    static let statement = Statement("otpd_prune", "SELECT more FROM otp.prune()")

    /// Prunes a batch if it is this worker's turn. Returns whether there is more to prune now.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Bool {
        let result = try await connection.execute(
            statement, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return try result.bool(0, 0)
    }
}
