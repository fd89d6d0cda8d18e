/// Why a connection could not be opened.
public struct ConnectFailure: Sendable, Equatable {
    /// How far an attempt came.
    public enum Stage: Sendable, Equatable {
        /// The name was not resolved, nothing answered, or the answer did not come in time.
        case network
        /// TLS was being agreed on.
        case tls
        /// The server was asked for a session, and ended the conversation.
        case login
        /// The server wants a password, and none is set.
        case password
        /// The session was there, on a server of another kind than `target_session_attrs` asks for.
        case attributes
    }

    /// One address that was tried, or one name that could not be resolved.
    public struct Attempt: Sendable, Equatable {
        /// Host, address and port as a person would write them.
        public var target: String
        /// libpq's, the server's or the resolver's words, without the password.
        public var reason: String
        /// The server's code, where it was the server that refused.
        public var sqlstate: String?
        public var stage: Stage

        public init(target: String, reason: String, sqlstate: String? = nil, stage: Stage = .network) {
            self.target = target
            self.reason = reason
            self.sqlstate = sqlstate
            self.stage = stage
        }
    }

    /// What has to be put right. In the order of what tells most, where several addresses failed differently.
    public enum Cause: Int, Sendable, Equatable, Comparable {
        /// 28P01, or none was given: the password.
        case password
        /// 28000: pg_hba.conf, pg_ident.conf, a role that is missing or may not log in.
        case login
        /// 42501: CONNECT on the database, or a setting that the role may not set.
        case privilege
        /// 3D000: there is no such database.
        case database
        /// 55000: the database takes no connections.
        case closed
        /// An option of the session that the server does not know, or a value it does not take.
        case option
        /// PgBouncer, which takes no session options.
        case pooler
        /// 08P01 and others of class 08: something that is no PostgreSQL server refuses.
        case proxy
        /// TLS could not be agreed on.
        case tls
        /// No server of the kind that `target_session_attrs` asks for.
        case attributes
        /// 53300: all connections are taken.
        case full
        /// Class 57: the server starts, stops or recovers.
        case notReady
        /// The server refused for another reason.
        case server
        /// Nothing answered.
        case network

        public static func < (a: Cause, b: Cause) -> Bool { a.rawValue < b.rawValue }

        /// By SQLSTATE, or by how far it came: never by words, which are in the server's language.
        init(_ attempt: Attempt) {
            switch attempt.sqlstate {
            case "28P01": self = .password
            case let state? where state.hasPrefix("28"): self = .login
            case "42501": self = .privilege
            case "3D000": self = .database
            case "55000": self = .closed
            // PgBouncer has no SQLSTATE of its own for this, and its words are not translated.
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

        /// What to do, as a sentence.
        public var remedy: String {
            switch self {
            case .password: "Check user and password in DATABASE_URL, PGPASSWORD or the password file."
            case .login:
                "Check the user in DATABASE_URL, and on the server: that the role exists and may log in, pg_hba.conf, "
                    + "and with peer authentication pg_ident.conf."
            case .privilege:
                "As the database's owner: GRANT CONNECT ON DATABASE … TO the role. Check also what PGOPTIONS sets."
            case .database: "Check the database's name in DATABASE_URL or PGDATABASE. List the databases: psql -l"
            case .closed: "As a superuser: ALTER DATABASE … ALLOW_CONNECTIONS true."
            case .option: "Check PGOPTIONS and the options in DATABASE_URL."
            case .pooler:
                "This is PgBouncer refusing session options, which carry settings and may carry a secret (its "
                    + "ignore_startup_parameters would only drop them): let DATABASE_URL lead to PostgreSQL directly."
            case .proxy:
                "A pooler or a proxy answers so: look at its log, or let DATABASE_URL lead to PostgreSQL directly."
            case .tls: "Check sslmode, sslrootcert, sslcert and sslkey, and the server's certificate."
            case .attributes:
                "Name all servers in DATABASE_URL, or wait until one is of the kind that target_session_attrs asks for."
            case .full:
                "Close idle connections, or raise max_connections on the server or the CONNECTION LIMIT of the role or "
                    + "the database. See who has them: SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1"
            case .notReady: "The server starts, stops or recovers. If it stays so, look at PostgreSQL's log."
            case .server: "Look at PostgreSQL's log."
            case .network: "Check that PostgreSQL runs there and that DATABASE_URL (or PGHOST, PGPORT) names it."
            }
        }
    }

    /// In the order they were tried.
    public var attempts: [Attempt]

    public init(attempts: [Attempt]) { self.attempts = attempts }

    public var cause: Cause { attempts.map(Cause.init).min() ?? .network }

    /// Each address and its reason. A name that leads to several addresses often fails the same way at each.
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
