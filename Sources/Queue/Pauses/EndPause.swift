public import EventLoop
public import Postgres

/// Ends a pause whose probe got through; its trigger releases what it held and tells the workers. One made by hand stays.
/// The primary key serves it.
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
