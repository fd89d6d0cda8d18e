public import EventLoop
public import Postgres

/// Counts the codes of the last ten minutes, the longest that one lives, and those that this session's secrets cannot open.
/// `verifications_created_at` serves it; the newest ten thousand are enough to know.
public enum ReadSeals {
    static let sql = """
        SELECT count(*), count(*) FILTER (WHERE v.is_foreign),
               (extract(epoch FROM clock_timestamp() - max(v.created_at) FILTER (WHERE v.is_foreign)))::float8
          FROM (SELECT created_at, otp.secret_for(key_id) IS NULL AS is_foreign
                  FROM otp.verifications
                 WHERE created_at > now() - interval '10 minutes'
                 ORDER BY created_at DESC
                 LIMIT 10000) v
        """

    /// What was read.
    public struct Seals: Sendable, Equatable {
        public var recent: Int
        /// Sealed under a secret that this session does not have.
        public var foreign: Int
        /// How old the newest of these is, in seconds.
        public var newestForeignAge: Double?

        public init(recent: Int, foreign: Int, newestForeignAge: Double?) {
            self.recent = recent
            self.foreign = foreign
            self.newestForeignAge = newestForeignAge
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Seals {
        let rows = try await DoctorQuery.rows(sql, on: connection, deadline: deadline)
        return Seals(
            recent: Int(try rows.int64(0, 0)), foreign: Int(try rows.int64(0, 1)),
            newestForeignAge: try rows.doubleIfPresent(0, 2))
    }
}
