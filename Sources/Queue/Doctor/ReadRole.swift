public import EventLoop
public import Postgres

/// Reads who this session is, and what it is a member of. Everybody may read this.
public enum ReadRole {
    /// Roles that open more than the queue: whoever takes over the worker would have it.
    static let dangerous = [
        "otp_owner", "pg_read_all_data", "pg_write_all_data", "pg_read_server_files", "pg_write_server_files",
        "pg_execute_server_program",
    ]

    static let sql = """
        SELECT r.rolname, r.rolsuper, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
               coalesce(pg_has_role(r.oid, to_regrole('otp_worker')::oid, 'USAGE'), false),
               coalesce(pg_has_role(r.oid, to_regrole('otp_worker')::oid, 'MEMBER'), false),
               (SELECT string_agg(d.rolname, ',' ORDER BY d.rolname)
                  FROM pg_roles d
                 WHERE d.rolname = ANY ('{\(dangerous.joined(separator: ","))}') AND pg_has_role(r.oid, d.oid, 'MEMBER')),
               (SELECT string_agg(wanted, ',')
                  FROM unnest('{otp_web,otp_worker,otp_monitor,otp_admin}'::text[]) AS w(wanted)
                 WHERE to_regrole(wanted) IS NULL)
          FROM pg_roles r
         WHERE r.rolname = session_user
        """

    /// What was read.
    public struct Role: Sendable, Equatable {
        public var name: String
        public var isSuperuser: Bool
        /// Of CREATEROLE, REPLICATION and BYPASSRLS those that it has.
        public var attributes: [String]
        /// Whether it has otp_worker's privileges.
        public var isWorker: Bool
        /// Whether it is a member of otp_worker, perhaps without inheriting its privileges.
        public var isMember: Bool
        /// Roles that a worker has no use for.
        public var dangerous: [String]
        /// Roles of otpd's that do not exist.
        public var missing: [String]

        public init(
            name: String, isSuperuser: Bool, attributes: [String], isWorker: Bool, isMember: Bool,
            dangerous: [String], missing: [String]
        ) {
            self.name = name
            self.isSuperuser = isSuperuser
            self.attributes = attributes
            self.isWorker = isWorker
            self.isMember = isMember
            self.dangerous = dangerous
            self.missing = missing
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Role {
        let rows = try await TextQuery.rows(sql, on: connection, deadline: deadline)
        guard rows.rowCount == 1 else { throw .misuse("the session's role is not in pg_roles") }
        var row = rows.reader()
        let name: String = try row.next()
        let isSuperuser: Bool = try row.next()
        var attributes: [String] = []
        for attribute in ["CREATEROLE", "REPLICATION", "BYPASSRLS"] where try row.next() {
            attributes.append(attribute)
        }
        return Role(
            name: name, isSuperuser: isSuperuser, attributes: attributes, isWorker: try row.next(),
            isMember: try row.next(), dangerous: try row.nextNames(), missing: try row.nextNames())
    }
}
