public import EventLoop
public import Postgres

/// Counts the codes of the last ten minutes, the longest that one lives, by the secret that they are sealed under.
/// `verifications_created_at` serves it; the newest ten thousand are enough to know.
public enum ReadSeals {
    static let sql = """
        SELECT v.key_id, count(*), extract(epoch FROM clock_timestamp() - max(v.created_at))::float8
          FROM (SELECT created_at, key_id
                  FROM otp.verifications
                 WHERE created_at > now() - interval '10 minutes'
                 ORDER BY created_at DESC
                 LIMIT 10000) v
         GROUP BY v.key_id
        """

    /// Those under one secret.
    public struct Seals: Sendable, Equatable {
        /// `otp.key_id` of it.
        public var keyID: String
        public var count: Int
        /// How old the newest is, in seconds.
        public var newestAge: Double

        public init(keyID: String, count: Int, newestAge: Double) {
            self.keyID = keyID
            self.count = count
            self.newestAge = newestAge
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Seals] {
        try await TextQuery.rows(sql, on: connection, deadline: deadline).map { row throws(PostgresError) in
            Seals(keyID: try row.next() ?? "", count: try row.next(), newestAge: try row.next())
        }
    }
}
