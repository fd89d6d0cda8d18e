public import EventLoop
public import Postgres

/// Reads every pause for a person: the shared ones, and those of workers that are alive.
///
/// `otp.send_jobs_held` serves the count of held jobs.
public enum ReadPauses {
    static let sql = """
        SELECT p.name AS scope, p.reason, p.remedy, p.since::timestamptz(0), p.next_probe_at::timestamptz(0), p.probes,
               p.made_by,
               (SELECT count(*) FROM otp.send_jobs j WHERE j.state = 'queued' AND j.held_by = p.name) AS held
          FROM otp.pauses p
         UNION ALL
        SELECT 'worker ' || w.worker_id, w.reason, w.remedy, w.paused_since::timestamptz(0),
               w.next_probe_at::timestamptz(0), NULL, 'otpd worker ' || w.worker_id, NULL
          FROM otp.worker_status w
         WHERE w.state = 'paused' AND w.heartbeat_at > now() - interval '30 seconds'
         ORDER BY 1
        """

    /// The rows.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> ReadStatus.Part
    {
        try await ReadStatus.part("pauses", "Pauses", sql, connection, deadline)
    }
}
