public import EventLoop
public import Postgres

/// Reads what the schema's functions need and lack: `otp.missing_rights` looks. Everybody may read the catalogs it reads.
public enum ReadMissingRights {
    /// One of them.
    public struct Right: Sendable, Equatable {
        /// What is wrong, such as `otp_owner may not call public.hmac(bytea,bytea,text)`.
        public var trouble: String
        /// The statement that mends it, without a semicolon.
        public var remedy: String

        public init(trouble: String, remedy: String) { (self.trouble, self.remedy) = (trouble, remedy) }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Right] {
        let rows = try await TextQuery.rows(
            "SELECT trouble, remedy FROM otp.missing_rights() ORDER BY remedy", on: connection, deadline: deadline)
        return try rows.map { row throws(PostgresError) in Right(trouble: try row.next(), remedy: try row.next()) }
    }
}
