public import EventLoop
public import Postgres

/// Reads the stored settings that matter to codes (`ALTER ROLE … SET`, `ALTER DATABASE … SET`). Every role may read
/// that catalog, and every dump of the globals has it, so it must not hold a secret. A secret's value is not fetched.
public enum ReadStoredSettings {
    static let sql = """
        SELECT CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END,
               (SELECT d.datname FROM pg_database d WHERE d.oid = s.setdatabase),
               split_part(c.entry, '=', 1),
               CASE WHEN split_part(c.entry, '=', 1) NOT LIKE 'otp.%'
                    THEN substr(c.entry, position('=' IN c.entry) + 1) END,
               s.setrole <> 0 AND to_regrole('otp_web') IS NOT NULL
                   AND pg_has_role(nullif(s.setrole, 0), to_regrole('otp_web')::oid, 'MEMBER')
                   AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = s.setrole)
          FROM pg_db_role_setting s
         CROSS JOIN LATERAL unnest(s.setconfig) AS c(entry)
         WHERE split_part(c.entry, '=', 1) IN ('otp.secret', 'otp.secret_previous', 'synchronous_commit',
                                               'log_parameter_max_length', 'session_replication_role',
                                               'default_transaction_read_only', 'statement_timeout',
                                               'transaction_timeout', 'restrict_nonsystem_relation_kind')
           AND (s.setdatabase = 0
                OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
         ORDER BY 3, 1, 2
        """

    /// One stored setting.
    public struct Entry: Sendable, Equatable {
        /// Nil for every role.
        public var role: String?
        /// Nil for every database.
        public var database: String?
        public var name: String
        /// Nil for a secret.
        public var value: String?
        /// Whether the role is a backend's.
        public var isWebTier: Bool

        public init(role: String?, database: String?, name: String, value: String?, isWebTier: Bool) {
            self.role = role
            self.database = database
            self.name = name
            self.value = value
            self.isWebTier = isWebTier
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Entry] {
        try await TextQuery.rows(sql, on: connection, deadline: deadline).map { row throws(PostgresError) in
            Entry(
                role: try row.next(), database: try row.next(), name: try row.next(), value: try row.next(),
                isWebTier: try row.next() ?? false)
        }
    }
}
