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
                   AND pg_has_role(r.oid, to_regrole('otp_web')::oid, 'MEMBER'))
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

        public init(
            isOn: Bool, ownerMay: Bool, owner: String, logStatement: String, logsDurations: Bool, parameterLength: Int,
            parameterLengthOnError: Int, webRoles: [String]
        ) {
            self.isOn = isOn
            self.ownerMay = ownerMay
            self.owner = owner
            self.logStatement = logStatement
            self.logsDurations = logsDurations
            self.parameterLength = parameterLength
            self.parameterLengthOnError = parameterLengthOnError
            self.webRoles = webRoles
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Concealment {
        var row = try await TextQuery.rows(sql, on: connection, deadline: deadline).reader()
        return Concealment(
            isOn: try row.next(), ownerMay: try row.next(), owner: try row.next() ?? "", logStatement: try row.next(),
            logsDurations: try row.next(), parameterLength: try row.next(), parameterLengthOnError: try row.next(),
            webRoles: try row.nextNames())
    }
}
