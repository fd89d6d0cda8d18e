import EventLoop
import Postgres

/// Reads of `otpd doctor`, in the simple protocol and without prepared statements. So they work through any pooler,
/// which they examine.
enum TextQuery {
    /// The rows of one query, as text.
    static func rows(
        _ sql: String, on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> QueryResult {
        guard let result = try await connection.simple(sql, deadline: deadline).last else {
            throw .misuse("the query returned no result")
        }
        return result
    }
}

extension RowReader {
    /// The strings of the next column, a `text[]` of names without commas and quotes.
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
