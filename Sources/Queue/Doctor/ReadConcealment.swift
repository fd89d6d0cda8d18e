public import EventLoop
public import Postgres

/// Reads whether PostgreSQL's log may show values that backends pass: literals of failing statements, or bind
/// parameters. Every role may read this. Needs PostgreSQL 15 or newer, which has privileges on parameters.
public enum ReadConcealment {
    static let sql = """
        SELECT (SELECT bool_and(p.proconfig @> '{log_min_error_statement=panic,log_error_verbosity=terse}') IS TRUE
                  FROM pg_proc p WHERE p.pronamespace = to_regnamespace('otp') AND p.prosecdef),
               (SELECT bool_and(has_parameter_privilege(p.proowner, 'log_min_error_statement', 'SET')
                                AND has_parameter_privilege(p.proowner, 'log_error_verbosity', 'SET')) IS TRUE
                  FROM pg_proc p WHERE p.pronamespace = to_regnamespace('otp') AND p.prosecdef),
               (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'otp'),
               current_setting('log_statement'),
               current_setting('log_min_duration_statement') <> '-1'
                   OR current_setting('log_min_duration_sample') <> '-1'
                   OR current_setting('log_transaction_sample_rate')::float8 > 0,
               (SELECT setting::int FROM pg_settings WHERE name = 'log_parameter_max_length'),
               (SELECT setting::int FROM pg_settings WHERE name = 'log_parameter_max_length_on_error'),
               (SELECT string_agg(r.rolname, ',' ORDER BY r.rolname)
                  FROM pg_roles r
                 WHERE r.rolcanlogin AND NOT r.rolsuper AND to_regrole('otp_web') IS NOT NULL
                   AND pg_has_role(r.oid, to_regrole('otp_web')::oid, 'MEMBER')),
               (SELECT string_agg(r.rolname, ',' ORDER BY r.rolname)
                  FROM pg_roles r
                 WHERE r.rolcanlogin AND NOT r.rolsuper AND to_regrole('otp_web') IS NOT NULL
                   AND pg_has_role(r.oid, to_regrole('otp_web')::oid, 'MEMBER')
                   AND coalesce((SELECT split_part(c.entry, '=', 2)
                                   FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(entry)
                                  WHERE split_part(c.entry, '=', 1) = 'log_min_error_statement'
                                    AND s.setrole IN (0, r.oid)
                                    AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d
                                                               WHERE d.datname = current_database()))
                                  ORDER BY s.setrole = 0, s.setdatabase = 0
                                  LIMIT 1),
                                (SELECT p.reset_val FROM pg_settings p WHERE p.name = 'log_min_error_statement'))
                       NOT IN ('log', 'fatal', 'panic')),
               (SELECT p.reset_val IN ('log', 'fatal', 'panic') FROM pg_settings p
                 WHERE p.name = 'log_min_error_statement')
        """

    /// The result.
    public struct Concealment: Sendable, Equatable {
        /// Whether all functions of the schema keep failing statements out of the log.
        public var isOn: Bool
        /// Whether their owner may set the parameters for that. If concealment is on and this is false, every call
        /// fails.
        public var ownerMay: Bool
        public var owner: String
        /// `none`, `ddl`, `mod` or `all`.
        public var logStatement: String
        /// Whether slow or sampled statements are logged.
        public var logsDurations: Bool
        /// How many bytes of each bind parameter are logged, in this session; -1 is all, 0 none.
        public var parameterLength: Int
        /// The same for errors.
        public var parameterLengthOnError: Int
        /// Login roles of backends, without superusers.
        public var webRoles: [String]
        /// Those of them whose failing statements are logged, by log_min_error_statement.
        public var loggedRoles: [String]
        /// Whether the server's own log_min_error_statement keeps failing statements out of the log.
        public var serverConceals: Bool

        /// Whether a setting of the server or of every backend's role keeps failing statements out of the log.
        public var isConcealedBySettings: Bool { loggedRoles.isEmpty && (serverConceals || !webRoles.isEmpty) }

        public init(
            isOn: Bool, ownerMay: Bool, owner: String, logStatement: String, logsDurations: Bool, parameterLength: Int,
            parameterLengthOnError: Int, webRoles: [String], loggedRoles: [String] = [], serverConceals: Bool = false
        ) {
            self.isOn = isOn
            self.ownerMay = ownerMay
            self.owner = owner
            self.logStatement = logStatement
            self.logsDurations = logsDurations
            self.parameterLength = parameterLength
            self.parameterLengthOnError = parameterLengthOnError
            self.webRoles = webRoles
            self.loggedRoles = loggedRoles
            self.serverConceals = serverConceals
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Concealment {
        var row = try await TextQuery.rows(sql, on: connection, deadline: deadline).reader()
        return Concealment(
            isOn: try row.next(), ownerMay: try row.next(), owner: try row.next() ?? "", logStatement: try row.next(),
            logsDurations: try row.next(), parameterLength: try row.next(), parameterLengthOnError: try row.next(),
            webRoles: try row.nextNames(), loggedRoles: try row.nextNames(),
            serverConceals: try row.next() ?? false)
    }
}
