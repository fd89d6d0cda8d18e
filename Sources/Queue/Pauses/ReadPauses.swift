public import EventLoop
public import Postgres

/// Reads every pause for display: the shared ones, and those of live workers.
public enum ReadPauses {
    static let sql = """
        SELECT scope, reason, remedy, since::timestamptz(0), next_probe_at::timestamptz(0), probes, created_by, held
          FROM otp.pause_status
         ORDER BY scope
        """

    /// The rows.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> ReadStatus.Part
    {
        try await ReadStatus.part("pause_status", "Pauses", sql, connection, deadline)
    }
}
