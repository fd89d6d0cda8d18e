public import EventLoop
public import Postgres
public import Queue

/// The first steps of every session that writes to the queue, after each connect.
public enum QueueSession {
    /// How long a session that records results waits for a row that another session holds. It is longer than a commit
    /// takes, and short because all other results wait meanwhile.
    public static let lockTimeout = Instant.Duration.milliseconds(250)

    /// Corrects the session's settings, refuses a read-only standby, and compares the schema with the one that this
    /// program knows.
    ///
    /// - Parameters:
    ///   - lockTimeout: the longest wait of a statement for a row that another session holds; nil for no limit.
    ///   - onMismatch: told of a schema that this program does not know, before `.unsuitable` is thrown.
    public static func begin(
        on connection: Connection, lockTimeout: Instant.Duration? = nil, deadline: Instant,
        onMismatch: (SchemaState) async -> Void
    ) async throws(PostgresError) {
        try await WritingSession.begin(on: connection, lockTimeout: lockTimeout, deadline: deadline)
        let state = try await Migrator(on: connection, deadline: deadline).state()
        guard state.isUsable else {
            await onMismatch(state)
            throw .unsuitable(state.message)
        }
    }
}
