public import EventLoop
public import Postgres

/// Settings that otpd's own sessions rely on, but that a role, a database or a service file may have changed. Each
/// session corrects the ones that differ. If none differs, it sets nothing, so a pooler's connection stays unchanged.
public enum SessionSettings {
    /// Settings that change the meaning of statements, or the text of their answers.
    static let forReading: KeyValuePairs = [
        "standard_conforming_strings": "on",
        "array_nulls": "on",
        "transform_null_equals": "off",
        "DateStyle": "ISO, MDY",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "default_transaction_isolation": "read committed",
        "default_transaction_deferrable": "off",
        // A session that waits for work is idle, so the server's limit must not end it.
        "idle_session_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "transaction_timeout": "0",
        "restrict_nonsystem_relation_kind": "",
    ]

    /// Settings that only sessions with their own server process may change too. Each call has a deadline of otpd's
    /// own.
    static let forWriting: KeyValuePairs = [
        "search_path": "pg_catalog, pg_temp",
        "default_transaction_read_only": "off",
        "statement_timeout": "0",
        "lock_timeout": "0",
    ]

    /// Corrects those of `settings` that exist on this server and differ. Names and values are otpd's own and need no
    /// quotes.
    static func sql(_ settings: [(key: String, value: String)]) -> String {
        let rows = settings.map { "('\($0.key)', '\($0.value)')" }.joined(separator: ", ")
        return """
            SELECT pg_catalog.set_config(w.name, w.value, false)
              FROM (VALUES \(rows)) AS w(name, value)
             WHERE pg_catalog.current_setting(w.name, true) OPERATOR(pg_catalog.<>) w.value
            """
    }

    /// For a session that reads, or runs one command.
    public static func begin(on connection: Connection, deadline: Instant) async throws(PostgresError) {
        try await connection.simple(sql(Array(forReading)), deadline: deadline)
    }

    /// For a session that writes or migrates, on its own connection.
    public static func beginWriting(on connection: Connection, deadline: Instant) async throws(PostgresError) {
        try await connection.simple(sql(Array(forReading) + Array(forWriting)), deadline: deadline)
    }
}
