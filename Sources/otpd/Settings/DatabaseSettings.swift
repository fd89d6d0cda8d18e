internal import OTP

/// Where the database is.
struct DatabaseSettings: Equatable, Sendable {
    /// A libpq connection URI or `key=value` string: it may hold a password. Nil for libpq's own `PG*` variables and
    /// defaults.
    let connection: Secret?

    static func read(_ reader: inout SettingsReader) -> DatabaseSettings {
        DatabaseSettings(connection: reader.parse(.databaseURL, connection))
    }

    /// Only the form is checked: libpq knows the rest, and says so.
    private static func connection(_ text: String) throws(Refusal) -> Secret {
        let isURI = text.hasPrefix("postgresql://") || text.hasPrefix("postgres://")
        guard isURI || (!text.contains("://") && text.contains("=")) else {
            throw Refusal("is no PostgreSQL address; write postgresql://user@host/database, or unset it and use PG*")
        }
        return Secret(text)
    }
}
