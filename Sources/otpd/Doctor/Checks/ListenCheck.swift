internal import Queue

/// LISTEN: whether a NOTIFY gets to where a worker would listen.
enum ListenCheck {
    static let check = Check("listen", "LISTEN")

    private static let remedy =
        "Let DATABASE_URL lead to PostgreSQL itself (its port, as a rule 5432), and not to the pooler."

    static func finding(_ outcome: TryListen.Outcome) -> Finding {
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
