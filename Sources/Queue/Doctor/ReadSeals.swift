public import EventLoop
public import Postgres

/// Counts the codes of the last ten minutes by the secret that sealed them. No code lives longer than that.
/// `verifications_created_at` serves it; the newest ten thousand codes are enough.
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

    /// The codes of one secret.
    public struct Seals: Sendable, Equatable {
        /// The secret's `otp.key_id`.
        public var keyID: String
        public var count: Int
        /// The age of the newest, in seconds.
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
