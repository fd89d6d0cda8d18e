public import EventLoop
public import Postgres

/// Reads the version of the database's table of phone numbers, and its age by the database's date.
public enum ReadNumberTable {
    static let sql = "SELECT version, released_on, current_date - released_on FROM otp.number_table"

    /// The result.
    public struct Reading: Sendable, Equatable {
        /// Nil if no table was loaded.
        public var table: NumberTable?
        /// Days since its release.
        public var age: Int

        public init(table: NumberTable?, age: Int) {
            self.table = table
            self.age = age
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Reading {
        let rows = try await TextQuery.rows(sql, on: connection, deadline: deadline)
        guard rows.rowCount == 1 else { return Reading(table: nil, age: 0) }
        var row = rows.reader()
        return Reading(table: NumberTable(version: try row.next(), releasedOn: try row.next()), age: try row.next())
    }
}
