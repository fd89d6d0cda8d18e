public import EventLoop
public import OTP
public import Postgres

/// Begins an operator's pause, which no probe ends. A pause that a worker began becomes the operator's.
public enum PauseByHand {
    static let statement = Statement(
        "otpd_pause_by_hand",
        """
        INSERT INTO otp.pauses AS p (scope, key, reason)
        VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE
           SET reason = excluded.reason, remedy = NULL, next_probe_at = NULL, created_by = excluded.created_by
        """,
        [.text, .text, .text])

    public static func run(
        on connection: Connection, _ scope: PauseScope, reason: String, deadline: Instant
    ) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(scope.scope)
        parameters.append(scope.key)
        parameters.append(reason)
        _ = try await connection.execute(statement, parameters, deadline: deadline, onDeadline: .cancel)
    }
}

/// Ends a pause on an operator's command, also one that a worker began. Its trigger makes the held jobs due at once.
public enum ResumeByHand {
    static let statement = Statement(
        "otpd_resume_by_hand", "DELETE FROM otp.pauses WHERE name = $1 RETURNING 1", [.text])

    /// Returns whether there was such a pause.
    public static func run(
        on connection: Connection, _ scope: PauseScope, deadline: Instant
    ) async throws(PostgresError) -> Bool {
        var parameters = Parameters()
        parameters.append(scope.name)
        let result = try await connection.execute(statement, parameters, deadline: deadline, onDeadline: .cancel)
        return result.rowCount > 0
    }
}
