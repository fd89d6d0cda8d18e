public import EventLoop
public import Postgres

/// Reads the database's clock, in one short round trip.
public enum ReadClock {
    static let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

    /// Microseconds since the Unix epoch.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Int64 {
        try await TextQuery.rows(sql, on: connection, deadline: deadline).int64(0, 0)
    }
}
