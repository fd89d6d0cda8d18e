internal import Queue

/// Words remedies for the place where the database runs. On your own server a superuser can carry out all of them. At a
/// provider, your administrator role can carry out a part, and the provider's own tools set server parameters.
struct Remedies: Equatable, Sendable {
    /// Nil for your own server.
    var provider: DatabaseProvider?
    var database = "DATABASE"

    init(_ provider: DatabaseProvider? = nil, database: String? = nil) {
        self.provider = provider
        if let database { self.database = Self.identifier(database) }
    }

    private static let guide = "See deploy/docs/managed-databases.md."

    /// Statements for the role with the most rights.
    func administrator(_ statements: String) -> String {
        "In psql as \(provider == nil ? "a superuser" : "your administrator role"): \(statements)"
    }

    /// Sets parameters of the whole server. At a provider that does not offer that, it says so.
    func parameters(_ parameters: KeyValuePairs<String, String>) -> String {
        guard let provider else {
            let statements = parameters.map { "ALTER SYSTEM SET \($0.key) = \($0.value);" }.joined(separator: " ")
            return administrator("\(statements) SELECT pg_reload_conf();")
        }
        let values = parameters.map { "\($0.key) = \(Self.bare($0.value))" }.joined(separator: " and ")
        let names = parameters.map(\.key).joined(separator: " and ")
        switch provider {
        case .rds: return "In the instance's DB parameter group, set \(values). \(Self.guide)"
        case .aurora: return "In the DB cluster parameter group, set \(values). \(Self.guide)"
        case .azure: return "In the Azure portal, under Server parameters, set \(values). \(Self.guide)"
        case .cloudSQL: return "In the instance's database flags, set \(values). \(Self.guide)"
        case .supabase, .neon:
            return "You cannot set \(names) at \(provider.name). Ask its support. \(Self.guide)"
        }
    }

    /// Resets parameters of the whole server to their defaults, which are `defaults`.
    func reset(_ defaults: KeyValuePairs<String, String>) -> String {
        guard provider == nil else { return parameters(defaults) }
        let statements = defaults.map { "ALTER SYSTEM RESET \($0.key);" }.joined(separator: " ")
        return administrator("\(statements) SELECT pg_reload_conf();")
    }

    /// Sets a parameter that every user may set, for all sessions of the database.
    func sessions(_ name: String, _ value: String) -> String {
        guard provider != nil else { return parameters([name: value]) }
        return administrator("ALTER DATABASE \(database) SET \(name) = \(value);")
    }

    /// Keeps failing statements out of the log where the functions cannot. Empty for your own server.
    func concealed(roles: [String]) -> String {
        let parameters: KeyValuePairs = ["log_min_error_statement": "panic", "log_error_verbosity": "terse"]
        let bind = "Let your backend pass phone numbers and codes as bind parameters."
        guard let provider else { return "" }
        switch provider {
        case .rds, .aurora, .azure, .cloudSQL:
            return "\(bind) To keep all failing statements out of the log: \(self.parameters(parameters))"
        case .supabase:
            let statements = (roles.isEmpty ? ["ROLE"] : roles.map(Self.identifier)).map {
                "ALTER ROLE \($0) SET log_min_error_statement = 'panic';"
            }
            return "\(bind) To keep failing statements out of the log: "
                + "\(administrator(statements.joined(separator: " "))) \(Self.guide)"
        case .neon:
            return "\(bind) At Neon, no role can keep failing statements out of the log. \(Self.guide)"
        }
    }

    /// Keeps bind parameters of these roles out of the log of statements.
    func withoutParameters(roles: [String]) -> String {
        let statements = roles.map { "ALTER ROLE \(Self.identifier($0)) SET log_parameter_max_length = 0;" }
        switch provider {
        case nil, .supabase: return administrator(statements.joined(separator: " "))
        case .rds, .aurora, .neon: return parameters(["log_parameter_max_length": "0"])
        // Azure offers no other value for log_parameter_max_length. At both, the logging of statements can be off.
        case .azure, .cloudSQL: return parameters(["log_statement": "none", "log_min_duration_statement": "-1"])
        }
    }

    /// Where a connection leads to PostgreSQL itself and not to a pooler.
    var directConnection: String {
        switch provider {
        case nil: "Let DATABASE_URL name PostgreSQL itself (usually port 5432) instead of the pooler."
        case .rds, .aurora: "Let DATABASE_URL name the database's own endpoint instead of that of RDS Proxy."
        case .supabase:
            "Let DATABASE_URL name the direct connection (db.PROJECT.supabase.co) or the pooler in session mode. Both "
                + "have port 5432. Port 6543 does not work."
        case .neon: "In DATABASE_URL, remove -pooler from the host's name."
        case .azure: "In DATABASE_URL, use port 5432 instead of 6432, which is PgBouncer's."
        case .cloudSQL: "Let DATABASE_URL name the instance itself instead of managed connection pooling."
        }
    }

    /// The parameters of DATABASE_URL that verify the server's certificate, and where to find the certificates.
    func verified(libpqVersion: Int32) -> String {
        let file = "/etc/otpd/database-ca.pem"
        func url(_ path: String, mode: String = "verify-full") -> String {
            "Add to DATABASE_URL: ?sslmode=\(mode)&sslrootcert=\(path)"
        }
        switch provider {
        case .neon, .azure:
            // libpq knows `system` from version 16 on. Before that, the same certificates are in one file.
            return libpqVersion >= 160_000
                ? url("system")
                : "This libpq has version \(libpqVersion / 10_000), and sslrootcert=system needs version 16. "
                    + url("/etc/ssl/certs/ca-certificates.crt")
        case .rds, .aurora:
            return "Save https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem as \(file). \(url(file))"
        case .supabase:
            return "Download the certificate in the dashboard (Database, Settings, SSL Configuration) to \(file). "
                + url(file)
        case .cloudSQL:
            return "Download the instance's server CA certificate to \(file). \(url(file, mode: "verify-ca"))"
        case nil:
            return "Save the certificate of the authority that signed the server's as \(file). \(url(file))"
        }
    }

    /// A value of SQL without its quotes.
    private static func bare(_ value: String) -> String { value.replacing("'", with: "") }

    /// A role's name as an identifier of SQL, quoted where necessary.
    static func identifier(_ name: String) -> String {
        let isPlain =
            name.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "_")
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            } && name.utf8.first.map { $0 > UInt8(ascii: "9") } ?? false
        return isPlain ? name : "\"\(name.replacing("\"", with: "\"\""))\""
    }
}
