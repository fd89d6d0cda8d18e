public import EventLoop
public import Postgres

/// The first steps of a session that writes, after each connect: what it needs whatever the role or the database has set.
public enum WritingSession {
    /// What the promise stands on: what is committed is durable (a stricter remote_apply is left). JIT costs more than it saves on these plans, and so does planning them each time: a
    /// claim's LIMIT makes its generic plan look dear (a tenth of the queue), though it is the same plan, so without the
    /// setting each claim is planned anew. A plan that is made while the queue is empty must serve it when it is long:
    /// by index, in its order. Warnings must arrive: one of them says that a commit is not durable.
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

    /// Prepares `connection`; refuses a read-only standby. With `lockTimeout` no statement waits longer for a row that
    /// somebody else holds.
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
