internal import Postgres
internal import Queue

/// Checks that the database server is reachable, new enough and the primary, and that it has all that the schema needs.
enum ServerChecks {
    static let connection = Check("database-connection", "Database")
    static let version = Check("database-version", "Database version")
    static let encoding = Check("database-encoding", "Encoding")
    static let primary = Check("database-primary", "Primary")
    static let pgcrypto = Check("database-pgcrypto", "pgcrypto")
    static let autovacuum = Check("database-autovacuum", "Autovacuum")
    static let all = [connection, version, encoding, primary, pgcrypto, autovacuum]

    /// The oldest version for the schema's migrations. They grant privileges on parameters, which older versions
    /// cannot.
    static let oldest = 150_000

    /// The finding about a connection like a worker's.
    static func connection(_ failure: PostgresError?, target: String) -> Finding {
        guard let failure else { return connection.pass("connected to \(target)") }
        switch failure {
        case .settings(let reason):
            return connection.fail(
                .configuration, reason, "Correct DATABASE_URL. Or unset it, and set PGHOST, PGUSER and so on.")
        case .connect(let attempts):
            let words = attempts.reasons.isEmpty ? "no address to connect to" : attempts.reasons.joined(separator: "; ")
            switch attempts.cause {
            case .pooler:
                return connection.fail(
                    .configuration, "PgBouncer refuses session options, such as those of PGOPTIONS.",
                    "Let DATABASE_URL name PostgreSQL itself (usually port 5432). A worker also needs LISTEN, which does not "
                        + "work over a pooled connection.")
            case .password, .login:
                return connection.fail(
                    .privileges, words,
                    "Try the login: psql -h HOST -U ROLE DATABASE. If it fails too, correct pg_hba.conf, or set the password "
                        + "in psql (\\password ROLE) and in DATABASE_URL.")
            case .privilege: return connection.fail(.privileges, words, attempts.cause.remedy)
            case .database, .closed, .option, .tls, .attributes:
                return connection.fail(.configuration, words, attempts.cause.remedy)
            case .proxy, .full, .notReady, .server:
                return connection.fail(.unreachable, words, attempts.cause.remedy)
            case .network:
                return connection.fail(
                    .unreachable, words,
                    "Check that PostgreSQL runs: systemctl status postgresql; \(isReady(attempts)); Then check the network "
                        + "and the firewall between."
                )
            }
        case .server, .lost, .deadline, .canceled, .unsuitable, .misuse:
            return connection.fail(.unreachable, failure.brief, "Read PostgreSQL's log, and run otpd doctor again.")
        }
    }

    /// The command `pg_isready` for the first target: `db:5432 (10.0.0.1)`, `[::1]:5432`, `/run/postgresql:5432`.
    private static func isReady(_ failure: ConnectFailure) -> String {
        guard let target = failure.attempts.first?.target.split(separator: " ").first,
            let colon = target.lastIndex(of: ":")
        else { return "pg_isready" }
        let host = target[..<colon].filter { $0 != "[" && $0 != "]" }
        return "pg_isready -h \(host) -p \(target[target.index(after: colon)...])"
    }

    static func findings(_ server: ReadServer.Server) -> [Finding] {
        let remedies = Remedies(server.provider, database: server.database)
        return [
            version(server), encoding(server), primary(server), pgcrypto(server), autovacuum(server, remedies),
        ]
    }

    private static func version(_ server: ReadServer.Server) -> Finding {
        let place = server.provider.map { " at \($0.name)" } ?? ""
        let words = "PostgreSQL \(server.version / 10_000).\(server.version % 10_000)\(place)"
        guard server.version >= oldest else {
            return version.fail(
                .configuration, "\(words) is too old. otpd needs PostgreSQL 15 or newer.",
                server.provider.map { "Upgrade the database with the tools of \($0.name)." }
                    ?? "Upgrade the cluster: pg_upgradecluster \(server.version / 10_000) main")
        }
        return version.pass(words)
    }

    private static func encoding(_ server: ReadServer.Server) -> Finding {
        guard server.encoding == "UTF8" else {
            return encoding.fail(
                .configuration, "The database's encoding is \(server.encoding), but otpd needs UTF8.",
                "Create a database, and migrate it: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;")
        }
        return encoding.pass("UTF8")
    }

    private static func primary(_ server: ReadServer.Server) -> Finding {
        guard !server.isStandby else {
            return primary.fail(
                .configuration, "This server is a read-only standby, so a worker cannot use it.",
                server.provider.map { "Name the primary's host in DATABASE_URL. \($0.name) shows it in its console." }
                    ?? "Name the primary in DATABASE_URL, or all servers with target_session_attrs=read-write. After a "
                    + "failed failover, promote the standby: pg_ctlcluster 15 main promote")
        }
        return primary.pass("The server takes writes.")
    }

    private static func pgcrypto(_ server: ReadServer.Server) -> Finding {
        guard server.hasPgcrypto else {
            let allow =
                server.provider == .azure
                ? "In the Azure portal, under Server parameters, add PGCRYPTO to azure.extensions. Then, in" : "In"
            return pgcrypto.fail(
                .configuration, "The extension pgcrypto is not in this database.",
                "\(allow) psql as the database's owner: CREATE EXTENSION pgcrypto; Then, as the schema's owner: otpd "
                    + "migrate up")
        }
        return pgcrypto.pass("installed")
    }

    private static func autovacuum(_ server: ReadServer.Server, _ remedies: Remedies) -> Finding {
        guard server.hasAutovacuum else {
            return autovacuum.warn(
                "Autovacuum is off, so every send makes the queue slower.",
                remedies.parameters(["autovacuum": "on", "track_counts": "on"]))
        }
        return autovacuum.pass("on")
    }
}
