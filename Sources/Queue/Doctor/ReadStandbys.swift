public import EventLoop
public import Postgres

/// Counts the receivers that stream from this server, standbys above all. Without pg_read_all_stats a role sees that
/// there are receivers, but not their details. Then `isVisible` is false.
public enum ReadStandbys {
    static let sql = """
        SELECT count(*) FILTER (WHERE state IS DISTINCT FROM 'backup'),
               count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),
               coalesce(bool_and(state IS NOT NULL), true),
               (SELECT r.application_name
                  FROM pg_stat_replication r
                 WHERE r.state IS DISTINCT FROM 'backup' AND r.application_name ~ '^[A-Za-z0-9_]+$'
                 ORDER BY r.pid
                 LIMIT 1)
          FROM pg_stat_replication
        """

    /// The result.
    public struct Standbys: Sendable, Equatable {
        public var streaming: Int
        /// How many of them a commit waits for.
        public var synchronous: Int
        public var isVisible: Bool
        /// The name of one of them, for a remedy.
        public var name: String?

        public init(streaming: Int, synchronous: Int, isVisible: Bool, name: String?) {
            self.streaming = streaming
            self.synchronous = synchronous
            self.isVisible = isVisible
            self.name = name
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Standbys {
        var row = try await TextQuery.rows(sql, on: connection, deadline: deadline).reader()
        return Standbys(
            streaming: try row.next(), synchronous: try row.next(), isVisible: try row.next(), name: try row.next())
    }
}
