public import EventLoop
public import Postgres

/// Reads the role whose rights the schema's functions run with. Every role may read this.
public enum ReadOwner {
    static let sql = """
        SELECT r.rolname, r.rolsuper, r.rolcanlogin,
               concat_ws(',', CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
                         CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END),
               current_setting('server_version_num')::int >= 160000
          FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
         WHERE n.nspname = 'otp'
        """

    /// The role that owns the schema.
    public struct Owner: Sendable, Equatable {
        public var name: String
        public var isSuperuser: Bool
        public var canLogIn: Bool
        /// The attributes that it has of CREATEROLE, CREATEDB, REPLICATION and BYPASSRLS.
        public var attributes: [String]
        /// Whether memberships have options: PostgreSQL 16 and newer.
        public var hasMembershipOptions: Bool

        public init(
            name: String, isSuperuser: Bool, canLogIn: Bool, attributes: [String], hasMembershipOptions: Bool
        ) {
            self.name = name
            self.isSuperuser = isSuperuser
            self.canLogIn = canLogIn
            self.attributes = attributes
            self.hasMembershipOptions = hasMembershipOptions
        }
    }

    /// Nil if there is no schema.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Owner? {
        let rows = try await TextQuery.rows(sql, on: connection, deadline: deadline)
        guard rows.rowCount == 1 else { return nil }
        var row = rows.reader()
        return Owner(
            name: try row.next(), isSuperuser: try row.next(), canLogIn: try row.next(),
            attributes: try row.nextNames(), hasMembershipOptions: try row.next())
    }
}
