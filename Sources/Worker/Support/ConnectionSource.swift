import EventLoop
import Postgres

/// Where a part of the worker gets its connection from: a session, or in tests a stand-in for one.
struct ConnectionSource<Database: Sendable>: Sendable {
    private let open: @Sendable (_ deadline: Instant) async throws(PostgresError) -> Database

    init(_ open: @escaping @Sendable (_ deadline: Instant) async throws(PostgresError) -> Database) {
        self.open = open
    }

    /// The open connection, or the next one, waited for no longer than `span`.
    func connection(within span: Instant.Duration = Times.statement) async throws(PostgresError) -> Database {
        try await open(.now() + span)
    }

    /// The connection of a session, as what a part asks of it.
    init(_ session: Session, as database: @escaping @Sendable (Connection) -> Database) {
        self.init { deadline throws(PostgresError) in database(try await session.connection(deadline: deadline)) }
    }
}
