internal import Queue

/// LISTEN: whether a NOTIFY gets to where a worker would listen.
enum ListenCheck {
    static let check = Check("listen", "LISTEN")

    private static let remedy =
        "Let DATABASE_URL lead to PostgreSQL itself (its port, as a rule 5432), and not to the pooler."

    private static let emptying =
        "A session that listens and stays in a transaction keeps it full: SELECT pid, usename, application_name, "
        + "xact_start FROM pg_stat_activity ORDER BY xact_start LIMIT 5; then SELECT pg_terminate_backend(PID). "
        + "PostgreSQL's log names the PID, too."

    static func finding(_ outcome: TryListen.Hearing) -> Finding {
        if outcome.queuePercent >= TryListen.fullFrom {
            return check.fail(
                .configuration,
                "the server's queue of notifications is \(outcome.queuePercent)% full: workers are not notified of new "
                    + "jobs, and look for them every 10 s", emptying)
        }
        if outcome.isHeard, outcome.queuePercent >= 50 {
            return check.warn("the server's queue of notifications is \(outcome.queuePercent)% full", emptying)
        }
        return way(outcome)
    }

    /// Whether a NOTIFY gets through.
    private static func way(_ outcome: TryListen.Hearing) -> Finding {
        switch (outcome.isHeard, outcome.isPooled, outcome.changesBackend) {
        case (true, false, _): check.pass("a NOTIFY arrives")
        case (true, true, false):
            check.pass("a NOTIFY arrives, through a pooler that keeps a server per session")
        case (true, true, true), (false, true, true):
            check.fail(
                .configuration,
                "a pooler in transaction mode is in between (PgBouncer?): LISTEN is lost with each transaction, so no "
                    + "worker hears of new jobs", remedy)
        case (false, true, false):
            check.fail(.configuration, "no NOTIFY arrives; a pooler is in between (PgBouncer?)", remedy)
        case (false, false, _):
            check.fail(
                .configuration, "no NOTIFY arrives: workers would only look from time to time",
                "See it by hand, in two psql: LISTEN x; and NOTIFY x; then look for what is in between.")
        }
    }
}
