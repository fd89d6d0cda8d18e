public import EventLoop
public import Postgres

/// Reads this session's role and its memberships. Every role may read this.
public enum ReadRole {
    /// Roles with rights beyond the queue. An attacker in control of the worker would have these too.
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

    /// The result.
    public struct Role: Sendable, Equatable {
        public var name: String
        public var isSuperuser: Bool
        /// The attributes that it has of CREATEROLE, REPLICATION and BYPASSRLS.
        public var attributes: [String]
        /// Whether it has otp_worker's privileges.
        public var isWorker: Bool
        /// Whether it is a member of otp_worker, perhaps without inheriting its privileges.
        public var isMember: Bool
        /// Its memberships that a worker does not need.
        public var dangerous: [String]
        /// otpd's roles that do not exist.
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
