/// Why a connection could not be opened.
public struct ConnectFailure: Sendable, Equatable {
    /// How far an attempt got.
    public enum Stage: Sendable, Equatable {
        /// The name was not resolved, or no answer came in time.
        case network
        /// During the negotiation of TLS.
        case tls
        /// The server was asked for a session, and refused.
        case login
        /// The server asks for a password, and none is set.
        case password
        /// The session was open, but `target_session_attrs` asks for another kind of server.
        case attributes
    }

    /// One address that was tried, or one name that could not be resolved.
    public struct Attempt: Sendable, Equatable {
        /// Host, address and port in readable form.
        public var target: String
        /// The message of libpq, the server or the resolver, without the password.
        public var reason: String
        /// The SQLSTATE, if the server refused.
        public var sqlstate: String?
        public var stage: Stage

        public init(target: String, reason: String, sqlstate: String? = nil, stage: Stage = .network) {
            self.target = target
            self.reason = reason
            self.sqlstate = sqlstate
            self.stage = stage
        }
    }

    /// The cause to fix. Ordered by how much each one tells, for addresses that failed in different ways.
    public enum Cause: Int, Sendable, Equatable, Comparable {
        /// 28P01, or no password was given.
        case password
        /// 28000: pg_hba.conf, pg_ident.conf, or a role that is missing or may not log in.
        case login
        /// 42501: no CONNECT on the database, or a setting that the role may not set.
        case privilege
        /// 3D000: the database does not exist.
        case database
        /// 55000: the database does not accept connections.
        case closed
        /// The server does not know an option of the session, or refuses its value.
        case option
        /// PgBouncer, which refuses session options.
        case pooler
        /// 08P01 and others of class 08, from something other than a PostgreSQL server.
        case proxy
        /// TLS could not be negotiated.
        case tls
        /// No server of the kind that `target_session_attrs` asks for.
        case attributes
        /// 53300: all connections are in use.
        case full
        /// Class 57: the server is starting, stopping or recovering.
        case notReady
        /// The server refused for another reason.
        case server
        /// Nothing answered.
        case network

        public static func < (a: Cause, b: Cause) -> Bool { a.rawValue < b.rawValue }

        /// By SQLSTATE, or by how far the attempt got. Never by the message, which is in the server's language.
        init(_ attempt: Attempt) {
            switch attempt.sqlstate {
            case "28P01": self = .password
            case let state? where state.hasPrefix("28"): self = .login
            case "42501": self = .privilege
            case "3D000": self = .database
            case "55000": self = .closed
            // PgBouncer has no SQLSTATE of its own for this, but its message is not translated.
            case "08P01" where attempt.reason.contains("unsupported startup parameter"): self = .pooler
            case let state? where state.hasPrefix("08"): self = .proxy
            case let state? where state.hasPrefix("22") || state.hasPrefix("42"): self = .option
            case "53300": self = .full
            case let state? where state.hasPrefix("57"): self = .notReady
            case .some: self = .server
            case nil:
                switch attempt.stage {
                case .password: self = .password
                case .tls: self = .tls
                case .attributes: self = .attributes
                case .login: self = .server
                case .network: self = .network
                }
            }
        }

        /// The remedy, as a sentence.
        public var remedy: String {
            switch self {
            case .password: "Check the user and the password in DATABASE_URL, PGPASSWORD or the password file."
            case .login:
                "Check the user in DATABASE_URL. On the server, check that the role exists and may log in, and check "
                    + "pg_hba.conf. With peer authentication, check pg_ident.conf too."
            case .privilege:
                "As the database's owner, run GRANT CONNECT ON DATABASE … TO the role. Also check PGOPTIONS."
            case .database: "Check the database's name in DATABASE_URL or PGDATABASE. psql -l lists the databases."
            case .closed:
                "In another database, as this one's owner or as a superuser, run ALTER DATABASE … ALLOW_CONNECTIONS true."
            case .option: "Check PGOPTIONS and the options in DATABASE_URL."
            case .pooler:
                "This is PgBouncer, which refuses session options. They carry settings and perhaps the secret, so "
                    + "ignore_startup_parameters does not help. Let DATABASE_URL lead to PostgreSQL directly."
            case .proxy:
                "A pooler or a proxy answered. Look at its log, or let DATABASE_URL lead to PostgreSQL directly."
            case .tls: "Check sslmode, sslrootcert, sslcert and sslkey, and the server's certificate."
            case .attributes:
                "Name all servers in DATABASE_URL, or wait until one of them fits target_session_attrs."
            case .full:
                "Close idle connections, or raise max_connections on the server or the CONNECTION LIMIT of the role or "
                    + "the database. To see the users, run SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1."
            case .notReady: "The server is starting, stopping or recovering. If this lasts, look at PostgreSQL's log."
            case .server: "Look at PostgreSQL's log."
            case .network: "Check that PostgreSQL runs there, and that DATABASE_URL (or PGHOST, PGPORT) leads to it."
            }
        }
    }

    /// In the order in which they were tried.
    public var attempts: [Attempt]

    public init(attempts: [Attempt]) { self.attempts = attempts }

    public var cause: Cause { attempts.map(Cause.init).min() ?? .network }

    /// Each address and its reason. A name with several addresses often fails in the same way at each.
    public var reasons: [String] {
        var lines: [String] = []
        for attempt in attempts {
            let line = attempt.reason.contains(attempt.target) ? attempt.reason : "\(attempt.target): \(attempt.reason)"
            if !lines.contains(line) { lines.append(line) }
        }
        return lines
    }

    var message: String {
        let all = reasons.joined(separator: " | ")
        // libpq's own words may end with a question.
        let isEnded = all.last.map { ".?!".contains($0) } ?? true
        return all + (isEnded ? " " : ". ") + cause.remedy
    }
}
