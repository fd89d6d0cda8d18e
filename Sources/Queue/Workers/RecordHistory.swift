public import EventLoop
public import Postgres

/// Enters the minute that has ended into `otp.history` (`otp.record_history`), if no other worker has. Reads the messages
/// of four minutes by `messages_accepted_at`; `Tests/sql/21_history.sh` holds that.
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
