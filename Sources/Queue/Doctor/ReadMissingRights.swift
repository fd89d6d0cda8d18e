public import EventLoop
public import Postgres

/// Reads the rights that the schema's functions need and lack, with `otp.missing_rights`. Every role may read the
/// catalogs that it uses.
public enum ReadMissingRights {
    /// One missing right.
    public struct Right: Sendable, Equatable {
        /// What is wrong, such as `otp_owner may not call public.hmac(bytea,bytea,text)`.
        public var trouble: String
        /// The statement that grants it, without a semicolon.
        public var remedy: String

        public init(trouble: String, remedy: String) { (self.trouble, self.remedy) = (trouble, remedy) }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Right] {
        let rows = try await TextQuery.rows(
            "SELECT trouble, remedy FROM otp.missing_rights() ORDER BY remedy", on: connection, deadline: deadline)
        return try rows.map { row throws(PostgresError) in Right(trouble: try row.next(), remedy: try row.next()) }
    }
}
