internal import Queue

/// Checks LISTEN: whether a NOTIFY reaches a connection like a worker's.
enum ListenCheck {
    static let check = Check("listen", "LISTEN")

    private static let emptying =
        "A session that listens and stays in a transaction keeps the queue full. PostgreSQL's log names its PID. Find "
        + "it: SELECT pid, usename, application_name, xact_start FROM pg_stat_activity ORDER BY xact_start LIMIT 5; "
        + "End it: SELECT pg_terminate_backend(PID);"

    static func finding(_ outcome: TryListen.Hearing, _ remedies: Remedies = Remedies()) -> Finding {
        if outcome.queuePercent >= TryListen.fullFrom {
            return check.fail(
                .configuration,
                "The server's queue of notifications is \(outcome.queuePercent)% full. Workers are not notified of new "
                    + "jobs, and look for them every 10 s.", emptying)
        }
        if outcome.isHeard, outcome.queuePercent >= 50 {
            return check.warn("The server's queue of notifications is \(outcome.queuePercent)% full.", emptying)
        }
        return way(outcome, remedies)
    }

    /// The finding about the way of a NOTIFY.
    private static func way(_ outcome: TryListen.Hearing, _ remedies: Remedies) -> Finding {
        switch (outcome.isHeard, outcome.isPooled, outcome.changesBackend) {
        case (true, false, _): check.pass("A NOTIFY arrives.")
        case (true, true, false):
            check.pass("A NOTIFY arrives through a pooler in session mode.")
        case (true, true, true), (false, true, true):
            check.fail(
                .configuration,
                "The connection goes through a pooler in transaction mode, such as PgBouncer. It drops LISTEN after each "
                    + "transaction, so workers are not notified of new jobs.", remedies.directConnection)
        case (false, true, false):
            check.fail(
                .configuration, "No NOTIFY arrives. The connection goes through a pooler, such as PgBouncer.",
                remedies.directConnection)
        case (false, false, _):
            check.fail(
                .configuration, "No NOTIFY arrives, so workers look for new jobs only every 10 s.",
                "Test it in two sessions of psql: LISTEN x; in the first, NOTIFY x; in the second. If the first shows no "
                    + "notification, look for a proxy or a pooler between otpd and PostgreSQL.")
        }
    }
}
