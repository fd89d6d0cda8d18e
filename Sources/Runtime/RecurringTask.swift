public import EventLoop
public import Logging
public import Postgres

/// One task that a background loop performs against the database again and again. An error that the database answers with
/// is logged once until it changes or the task succeeds. A lost connection is the session's to log.
///
///     var sweep = RecurringTask("expired jobs cannot be swept", session, timeout: .seconds(10), log: log)
///     while !Task.isCancelled {
///         await sweep.attempt { connection throws(PostgresError) in try await Sweep.run(on: connection, …) }
///         …
///     }
public struct RecurringTask: Sendable {
    private let trouble: Logger.Message
    private let session: Session
    private let timeout: Instant.Duration
    private let log: Logger
    private var errors = LogOnce()

    /// - Parameters:
    ///   - trouble: the message of the log line.
    ///   - timeout: of the wait for a connection.
    public init(_ trouble: Logger.Message, _ session: Session, timeout: Instant.Duration, log: Logger) {
        self.trouble = trouble
        self.session = session
        self.timeout = timeout
        self.log = log
    }

    /// Performs the task once; nil where it failed.
    @discardableResult
    public mutating func attempt<Value>(
        _ task: (Connection) async throws(PostgresError) -> Value
    ) async -> Value? {
        do throws(PostgresError) {
            let value = try await task(try await session.connection(deadline: .now() + timeout))
            errors.reset()
            return value
        } catch {
            if case .server = error, errors.isNew(error) {
                log.error(trouble, metadata: [LogKeys.error: "\(error)"])
            }
            return nil
        }
    }
}
