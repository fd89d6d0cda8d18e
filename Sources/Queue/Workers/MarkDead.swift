public import EventLoop
public import Postgres

/// Marks workers whose heartbeats stopped without a final one: killed, frozen, or cut off from the database. A worker
/// that resumes its heartbeats corrects its row itself.
///
/// The table has one row per process of the last days, so it is read as a whole. A row that another session holds is
/// left to the next round, so that this never waits.
public enum MarkDead {
    static let statement = Statement(
        "otpd_mark_dead",
        """
        UPDATE otp.worker_status w
           SET state = 'dead', database_state = NULL, twilio_state = NULL, next_probe_at = NULL,
               reason = format('Its heartbeats ended while it was %s.', w.state),
               remedy = 'See the end of its log: journalctl -u otpd. The other workers settle its jobs.'
         WHERE w.worker_id IN (
               SELECT o.worker_id
                 FROM otp.worker_status o
                WHERE o.heartbeat_at < clock_timestamp() - interval '30 seconds' AND o.state NOT IN ('stopped', 'dead')
                  FOR UPDATE SKIP LOCKED)
        RETURNING w.worker_id
        """, [])

    /// Returns the workers that were marked just now.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Int64] {
        let result = try await connection.execute(
            statement, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return try result.map { row throws(PostgresError) in try row.next() }
    }
}
