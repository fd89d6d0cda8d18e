public import EventLoop
public import Postgres

/// Records the minute that has ended in `otp.history` (`otp.record_history`), unless another worker has. Reads the
/// messages of four minutes by `messages_accepted_at`, which `Tests/sql/21_history.sh` checks.
public enum RecordHistory {
    static let statement = Statement("otpd_record_history", "SELECT otp.record_history()", [])

    /// How long until the next minute ends.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Instant.Duration
    {
        let result = try await connection.execute(
            statement, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return Instant.Duration(seconds: try result.double(0, 0))
    }
}
