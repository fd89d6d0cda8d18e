public import EventLoop
public import OTP
public import Postgres

/// Begins a pause for all workers because of Twilio's answer. Its trigger notifies them. A pause that an operator began
/// stays as it is. The primary key serves it.
public enum BeginPause {
    static let statement = Statement(
        "otpd_begin_pause",
        """
        INSERT INTO otp.pauses AS p (scope, key, reason, remedy, next_probe_at, created_by)
        VALUES ($1, $2, left($3, 500), $4, now() + make_interval(secs => $5), 'otpd worker ' || $6)
        ON CONFLICT (name) DO UPDATE
           SET reason = excluded.reason, remedy = excluded.remedy
         WHERE p.next_probe_at IS NOT NULL
           AND (p.reason, p.remedy) IS DISTINCT FROM (excluded.reason, excluded.remedy)
        """,
        [.text, .text, .text, .text, .float8, .int8])

    /// Begins `pause`, whose first probe is after `firstProbe`.
    public static func run(
        on connection: Connection, _ pause: Pause, firstProbe: Instant.Duration, worker: Int64, deadline: Instant
    ) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(pause.scope.scope)
        parameters.append(pause.scope.key)
        parameters.append(pause.reason)
        parameters.append(pause.remedy)
        parameters.append(firstProbe.seconds)
        parameters.append(worker)
        _ = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
