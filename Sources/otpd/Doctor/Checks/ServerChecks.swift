internal import Postgres
internal import Queue

/// The database server: reachable, new enough, the primary, with what the schema needs.
enum ServerChecks {
    static let connection = Check("database-connection", "Database")
    static let version = Check("database-version", "Database version")
    static let encoding = Check("database-encoding", "Encoding")
    static let primary = Check("database-primary", "Primary")
    static let pgcrypto = Check("database-pgcrypto", "pgcrypto")
    static let autovacuum = Check("database-autovacuum", "Autovacuum")
    static let all = [connection, version, encoding, primary, pgcrypto, autovacuum]

    /// The oldest that the schema's migrations run on: they grant privileges on parameters, which came with it.
    static let oldest = 150_000

    /// What opening a connection as a worker does came to.
    static func connection(_ failure: PostgresError?, target: String) -> Finding {
        guard let failure else { return connection.pass("connected to \(target)") }
        switch failure {
        case .settings(let reason):
            return connection.fail(
                .configuration, reason, "Correct DATABASE_URL, or unset it and use PGHOST, PGUSER, …")
        case .connect(let attempts):
            let words = attempts.reasons.isEmpty ? "no address to connect to" : attempts.reasons.joined(separator: "; ")
            switch attempts.cause {
            case .pooler:
                return connection.fail(
                    .configuration, "PgBouncer refuses session options, such as those of PGOPTIONS",
                    "Let DATABASE_URL lead to PostgreSQL itself (its port, as a rule 5432): a worker listens too, which no "
                        + "pooled connection can.")
            case .password, .login:
                return connection.fail(
                    .privileges, words,
                    "Try it by itself: psql -h HOST -U ROLE DATABASE; then mend pg_hba.conf, or the password (in psql as a "
                        + "superuser: \\password ROLE) and DATABASE_URL.")
            case .privilege: return connection.fail(.privileges, words, attempts.cause.remedy)
            case .database, .closed, .option, .tls, .attributes:
                return connection.fail(.configuration, words, attempts.cause.remedy)
            case .proxy, .full, .notReady, .server:
                return connection.fail(.unreachable, words, attempts.cause.remedy)
            case .network:
                return connection.fail(
                    .unreachable, words,
                    "Look whether it runs: systemctl status postgresql; \(isReady(attempts)); then what is in between."
                )
            }
        case .server, .lost, .deadline, .canceled, .unsuitable, .misuse:
            return connection.fail(.unreachable, failure.brief, "Look at PostgreSQL's log, then try again.")
        }
    }

    /// `pg_isready` with what was tried first: `db:5432 (10.0.0.1)`, `[::1]:5432`, `/run/postgresql:5432`.
    private static func isReady(_ failure: ConnectFailure) -> String {
        guard let target = failure.attempts.first?.target.split(separator: " ").first,
            let colon = target.lastIndex(of: ":")
        else { return "pg_isready" }
        let host = target[..<colon].filter { $0 != "[" && $0 != "]" }
        return "pg_isready -h \(host) -p \(target[target.index(after: colon)...])"
    }

    static func findings(_ server: ReadServer.Server) -> [Finding] {
        [version(server), encoding(server), primary(server), pgcrypto(server), autovacuum(server)]
    }

    private static func version(_ server: ReadServer.Server) -> Finding {
        let words = "PostgreSQL \(server.version / 10_000).\(server.version % 10_000)"
        guard server.version >= oldest else {
            return version.fail(
                .configuration, "\(words); otpd's schema needs 15 or newer (it grants SET ON PARAMETER)",
                "Upgrade the cluster: pg_upgradecluster \(server.version / 10_000) main")
        }
        return version.pass(words)
    }

    private static func encoding(_ server: ReadServer.Server) -> Finding {
        guard server.encoding == "UTF8" else {
            return encoding.fail(
                .configuration, "the database's encoding is \(server.encoding)",
                "Make one with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and migrate there.")
        }
        return encoding.pass("UTF8")
    }

    private static func primary(_ server: ReadServer.Server) -> Finding {
        guard !server.isStandby else {
            return primary.fail(
                .configuration, "this is a read-only standby: a worker can't work on it",
                "Name the primary in DATABASE_URL, or all servers with target_session_attrs=read-write; after a failover "
                    + "that did not happen: pg_ctlcluster 15 main promote")
        }
        return primary.pass("it takes writes")
    }

    private static func pgcrypto(_ server: ReadServer.Server) -> Finding {
        guard server.hasPgcrypto else {
            return pgcrypto.fail(
                .configuration, "the extension is not in this database",
                "In psql as its owner: CREATE EXTENSION pgcrypto; (Debian: it is in postgresql-15), then otpd migrate up"
            )
        }
        return pgcrypto.pass("there")
    }

    private static func autovacuum(_ server: ReadServer.Server) -> Finding {
        guard server.hasAutovacuum else {
            return autovacuum.warn(
                "it is off: the queue grows slower with every send",
                "In psql as a superuser: ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT "
                    + "pg_reload_conf();")
        }
        return autovacuum.pass("on")
    }
}
