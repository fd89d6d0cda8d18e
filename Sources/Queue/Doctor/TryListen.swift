public import EventLoop
public import Postgres

/// Tests whether a NOTIFY reaches a listening session, over the same kind of connection as a worker's. It uses LISTEN
/// on its own channel, NOTIFY from a second session, and waits. Leaves no lasting change.
public enum TryListen {
    /// The result.
    public struct Hearing: Sendable, Equatable {
        public var isHeard: Bool
        /// Whether a pooler sits between here and the server: the process that answers differs from the one that the
        /// connection was given at its start.
        public var isPooled: Bool
        /// Whether the process changed between two statements, as with a pooler in transaction mode.
        public var changesBackend: Bool
        /// How full the server's queue of notifications is. From `fullFrom` on, SQL `notify` adds nothing, and no test
        /// was made here.
        public var queuePercent: Int32

        public init(isHeard: Bool, isPooled: Bool, changesBackend: Bool, queuePercent: Int32 = 0) {
            self.isHeard = isHeard
            self.isPooled = isPooled
            self.changesBackend = changesBackend
            self.queuePercent = queuePercent
        }
    }

    /// The percentage from which SQL `notify` adds nothing to the queue.
    public static let fullFrom: Int32 = 90

    private static let pid = "SELECT pg_backend_pid()"
    private static let usage = "SELECT floor(pg_notification_queue_usage() * 100)::int"

    /// Runs the test on `listener`, which must have no open transaction. A notification that has not arrived within
    /// `timeout` counts as lost. `channel` is an unused name of letters, digits and underscores.
    public static func run(
        listener: Connection, notifier: Connection, channel: String, timeout: Instant.Duration, deadline: Instant
    ) async throws(PostgresError) -> Hearing {
        let queuePercent = try await TextQuery.rows(usage, on: notifier, deadline: deadline).int32(0, 0)
        guard queuePercent < fullFrom else {
            return Hearing(isHeard: false, isPooled: false, changesBackend: false, queuePercent: queuePercent)
        }
        let heard = Latch(on: listener.loop)
        let seen = Seen()
        await listener.onNotification { notification in
            guard notification.channel == channel else { return }
            seen.isHeard = true
            heard.signal()
        }
        try await listener.simple("LISTEN \(channel)", deadline: deadline)
        let first = try await TextQuery.rows(pid, on: listener, deadline: deadline).int32(0, 0)
        try await notifier.simple("NOTIFY \(channel)", deadline: deadline)
        await heard.wait(until: .now() + timeout)
        let isPooled = await listener.backendPID != first
        var changes = false
        if isPooled {
            // This transaction takes the server connection that the listener had, if the pooler got it back.
            try await notifier.simple("BEGIN", deadline: deadline)
            try await notifier.simple(pid, deadline: deadline)
            // With a pool of one, the listener waits for the transaction. Then it has no server connection of its own
            // either.
            let second = try? await TextQuery.rows(pid, on: listener, deadline: .now() + timeout).int32(0, 0)
            changes = second != first
            try await notifier.simple("ROLLBACK", deadline: deadline)
        }
        await listener.onNotification(nil)
        // A pooled server connection outlives this session.
        _ = try? await listener.simple("UNLISTEN \(channel)", deadline: deadline)
        return Hearing(
            isHeard: seen.isHeard, isPooled: isPooled, changesBackend: changes, queuePercent: queuePercent)
    }

    /// `@unchecked Sendable`: touched on the loop's thread alone, where notifications arrive and this task runs.
    private final class Seen: @unchecked Sendable {
        var isHeard = false
    }
}
