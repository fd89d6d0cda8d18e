import EventLoop
import Postgres

/// What the reads of `otpd doctor` have in common: the simple protocol and no prepared statement, so that they work
/// through any pooler, whose ways they are to find out about.
enum TextQuery {
    /// The rows of one query, as text.
    static func rows(
        _ sql: String, on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> QueryResult {
        guard let result = try await connection.simple(sql, deadline: deadline).last else {
            throw .misuse("a query without a result")
        }
        return result
    }
}

extension RowReader {
    /// The strings of the next column, a `text[]` whose elements hold neither commas nor quotes: names.
    mutating func nextNames() throws(PostgresError) -> [String] {
        let text: String? = try next()
        return text?.split(separator: ",").map(String.init) ?? []
    }

    /// The next column, in seconds; nil for NULL.
    mutating func nextDuration() throws(PostgresError) -> Instant.Duration? {
        let seconds: Double? = try next()
        return seconds.map { Instant.Duration(seconds: $0) }
    }
}
