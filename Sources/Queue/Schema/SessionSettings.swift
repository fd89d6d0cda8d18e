public import EventLoop
public import Postgres

/// Settings that a role, a database or a service file may have changed, and that otpd's own sessions rely on. Each session
/// puts right those that differ: nothing is set, and nothing is left behind in a pooler's connection, where none differs.
public enum SessionSettings {
    /// What changes the meaning of statements, or the text of their answers.
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
        // A session that waits for work is idle: no time of the server's ends it.
        "idle_session_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "transaction_timeout": "0",
        "restrict_nonsystem_relation_kind": "",
    ]

    /// And what only sessions of their own server process may change. Each call has a deadline of otpd's own.
    static let forWriting: KeyValuePairs = [
        "search_path": "pg_catalog, pg_temp",
        "default_transaction_read_only": "off",
        "statement_timeout": "0",
        "lock_timeout": "0",
    ]

    /// Sets those of `settings` that exist on this server and differ. Names and values are our own: nothing to quote.
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

    /// For a session that writes or migrates, on a connection of its own.
    public static func beginWriting(on connection: Connection, deadline: Instant) async throws(PostgresError) {
        try await connection.simple(sql(Array(forReading) + Array(forWriting)), deadline: deadline)
    }
}
