public import EventLoop
public import Postgres

/// The first steps of a session that writes, after each connect, whatever the role or the database has set.
public enum WritingSession {
    /// A committed transaction must be durable, so synchronous_commit is on (a stricter remote_apply is kept). JIT
    /// costs more than it saves on these plans, and so does planning them each time. A claim's LIMIT makes its generic
    /// plan look expensive (a tenth of the queue), although it is the same plan, so by default each claim is planned
    /// again. A plan made while the queue is empty must also work when it is long: by index, in its order. Warnings
    /// must arrive, because one of them says that a commit is not durable.
    private static let settings = """
        SELECT pg_is_in_recovery();
        SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
        SET client_min_messages = warning;
        SET jit = off;
        SET plan_cache_mode = force_generic_plan;
        SET enable_seqscan = off;
        SET enable_bitmapscan = off;
        SET enable_sort = off
        """

    /// Prepares `connection`, and refuses a read-only standby. With `lockTimeout`, no statement waits longer for a row
    /// that another session holds.
    public static func begin(on connection: Connection, lockTimeout: Instant.Duration? = nil, deadline: Instant)
        async throws(PostgresError)
    {
        try await SessionSettings.beginWriting(on: connection, deadline: deadline)
        let answers = try await connection.simple(settings, deadline: deadline)
        guard try answers.first?.bool(0, 0) == false else {
            throw .unsuitable(
                "\(await connection.target) is a read-only standby. Name the primary in DATABASE_URL, "
                    + "or all of them with target_session_attrs=read-write.")
        }
        if let lockTimeout {
            try await connection.simple(
                "SET lock_timeout = '\(lockTimeout.nanoseconds / 1_000_000)ms'", deadline: deadline)
        }
    }
}
