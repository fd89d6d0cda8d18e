extension ServerError {
    /// What to do about a statement that the server refused, as one or two sentences. Pure; by SQLSTATE alone.
    public var remedy: String {
        switch kind {
        case .locked:
            "Find the session that holds the row or the table: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0."
        case .conflict: "Nothing, if it is rare: two sessions wanted the same rows, and one of them had to yield."
        case .unavailable:
            "Look at the server's log and its disk: the server is full, read-only, starting or stopping."
        case .misconfigured: "Run: otpd doctor. It names the missing grant or migration."
        case .invalidValue: "Find the constraint or the trigger that refuses the row. It may not be otpd's own."
        case .other where sqlstate == "57014":
            "Remove a statement_timeout that the role or the database has, or find who canceled the statement."
        case .other: "Look at the server's log of that moment, and run: otpd doctor."
        }
    }
}
