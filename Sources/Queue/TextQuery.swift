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

extension QueryResult {
    /// The strings of a `text[]` whose elements hold neither commas nor quotes: names.
    func names(_ row: Int, _ column: Int) throws(PostgresError) -> [String] {
        guard let text = try stringIfPresent(row, column) else { return [] }
        return text.split(separator: ",").map(String.init)
    }
}
