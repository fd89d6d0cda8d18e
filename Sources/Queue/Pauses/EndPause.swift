public import EventLoop
public import Postgres

/// Ends a pause whose probe succeeded. Its trigger releases the held jobs and notifies the workers. A pause that an
/// operator began stays. The primary key serves it.
public enum EndPause {
    static let statement = Statement(
        "otpd_end_pause",
        "DELETE FROM otp.pauses WHERE name = $1 AND next_probe_at IS NOT NULL", [.text])

    public static func run(on connection: Connection, _ name: String, deadline: Instant) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(name)
        _ = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
