public import EventLoop
public import Postgres

/// Takes the turn to probe pauses that are due for it, and releases one held job of each: the newest, whose code lives
/// longest. One worker at a time has a pause's turn, because it moves `next_probe_at`. The waits double.
///
/// A due job whose `hold_key` names a pause is that pause's probe. Without a held job no turn is taken, and the first
/// job that arrives becomes the probe at once. `otp.send_jobs_held` serves it.
public enum TakeProbe {
    static let statement = Statement(
        "otpd_take_probe",
        """
        WITH turn AS MATERIALIZED (
            SELECT p.name
              FROM otp.pauses p
             WHERE p.next_probe_at <= now()
               AND EXISTS (SELECT FROM otp.send_jobs j
                            WHERE j.state = 'queued' AND j.hold_kind = 'pause' AND j.hold_key = p.name
                              AND j.due_at > now() AND j.expires_at > now())
               FOR NO KEY UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE otp.pauses p
               SET probes = p.probes + 1,
                   next_probe_at = now() + make_interval(secs => least($2, $1 * 2 ^ least(p.probes + 1, 20)))
              FROM turn
             WHERE p.name = turn.name
         RETURNING p.name, p.next_probe_at
        ), released AS (
            UPDATE otp.send_jobs j
               SET due_at = now()
             WHERE CASE j.state WHEN 'queued' THEN true END
               AND j.id = ANY (ARRAY (SELECT (SELECT h.id
                                                FROM otp.send_jobs h
                                               WHERE h.state = 'queued' AND h.hold_kind = 'pause' AND h.hold_key = t.name
                                                 AND h.due_at > now() AND h.expires_at > now()
                                               ORDER BY h.id DESC
                                               LIMIT 1
                                                 FOR UPDATE SKIP LOCKED)
                                        FROM taken t))
         RETURNING 1
        )
        SELECT (SELECT count(*)::int FROM released),
               (SELECT extract(epoch FROM min(coalesce(t.next_probe_at, p.next_probe_at)) - now())::float8
                  FROM otp.pauses p
                  LEFT JOIN taken t ON t.name = p.name
                 WHERE p.next_probe_at IS NOT NULL)
        """,
        [.float8, .float8])

    /// The result.
    public struct Taken: Sendable, Equatable {
        /// The held jobs that are sent as probes now.
        public var released: Int
        /// Until the next probe is due. Not positive if one is due and no job is held; nil if no pause is probed.
        public var next: Instant.Duration?
    }

    /// Takes all due turns. The wait after a first probe is twice `first`, and no wait is longer than `longest`.
    public static func run(
        on connection: Connection, first: Instant.Duration, longest: Instant.Duration, deadline: Instant
    ) async throws(PostgresError) -> Taken {
        var parameters = Parameters()
        parameters.append(first.seconds)
        parameters.append(longest.seconds)
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return Taken(released: try row.next(), next: try row.nextDuration())
    }
}
