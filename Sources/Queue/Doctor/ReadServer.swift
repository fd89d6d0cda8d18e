public import EventLoop
public import Postgres

/// Reads the kind of server and its settings. Every role may read this.
public enum ReadServer {
    static let sql = """
        SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), pg_is_in_recovery(),
               pg_backend_pid(), current_database(),
               EXISTS (SELECT FROM pg_extension WHERE extname = 'pgcrypto'),
               current_setting('autovacuum')::bool AND current_setting('track_counts')::bool,
               current_setting('fsync')::bool, current_setting('full_page_writes')::bool,
               current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
               current_setting('TimeZone'),
               (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user),
               (SELECT string_agg(r.rolname, ',') FROM pg_roles r
                 WHERE r.rolname = ANY ('{\(DatabaseProvider.roles.joined(separator: ","))}')),
               (SELECT string_agg(DISTINCT split_part(s.name, '.', 1), ',') FROM pg_settings s
                 WHERE s.name LIKE '%.%'
                   AND split_part(s.name, '.', 1) = ANY ('{\(DatabaseProvider.prefixes.joined(separator: ","))}')),
               EXISTS (SELECT FROM pg_proc p WHERE p.proname = 'aurora_version')
        """

    /// The result.
    public struct Server: Sendable, Equatable {
        /// Such as 150004.
        public var version: Int
        public var encoding: String
        public var isStandby: Bool
        /// The process that answered. Behind a pooler it differs from the one that the connection was given at its
        /// start.
        public var backendPID: Int32
        public var database: String
        public var hasPgcrypto: Bool
        public var hasAutovacuum: Bool
        public var hasFsync: Bool
        public var hasFullPageWrites: Bool
        public var synchronousCommit: String
        public var synchronousStandbyNames: String
        public var timeZone: String
        /// The service that operates it. Nil for your own server.
        public var provider: DatabaseProvider?

        public init(
            version: Int, encoding: String, isStandby: Bool, backendPID: Int32, database: String, hasPgcrypto: Bool,
            hasAutovacuum: Bool, hasFsync: Bool, hasFullPageWrites: Bool, synchronousCommit: String,
            synchronousStandbyNames: String, timeZone: String, provider: DatabaseProvider? = nil
        ) {
            self.version = version
            self.encoding = encoding
            self.isStandby = isStandby
            self.backendPID = backendPID
            self.database = database
            self.hasPgcrypto = hasPgcrypto
            self.hasAutovacuum = hasAutovacuum
            self.hasFsync = hasFsync
            self.hasFullPageWrites = hasFullPageWrites
            self.synchronousCommit = synchronousCommit
            self.synchronousStandbyNames = synchronousStandbyNames
            self.timeZone = timeZone
            self.provider = provider
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Server {
        var row = try await TextQuery.rows(sql, on: connection, deadline: deadline).reader()
        return Server(
            version: try row.next(), encoding: try row.next(), isStandby: try row.next(), backendPID: try row.next(),
            database: try row.next(), hasPgcrypto: try row.next(), hasAutovacuum: try row.next(),
            hasFsync: try row.next(),
            hasFullPageWrites: try row.next(), synchronousCommit: try row.next(),
            synchronousStandbyNames: try row.next(), timeZone: try row.next(), provider: try provider(&row))
    }

    private static func provider(_ row: inout RowReader) throws(PostgresError) -> DatabaseProvider? {
        DatabaseProvider(
            .init(
                isSuperuser: try row.next() ?? false, roles: Set(try row.nextNames()),
                prefixes: Set(try row.nextNames()), hasAuroraVersion: try row.next()))
    }
}
