public import EventLoop
public import Postgres

/// Finds out whether a NOTIFY reaches a session that listens, over the same kind of connection as a worker's: LISTEN on a
/// channel of its own, NOTIFY from a second session, and wait. Changes nothing that lasts.
public enum TryListen {
    /// What was seen.
    public struct Hearing: Sendable, Equatable {
        public var isHeard: Bool
        /// Whether something between here and the server answers for it: the process that answers is another one than
        /// the connection was told at its start.
        public var isPooled: Bool
        /// Whether the process changed from one statement to the next: a pooler in transaction mode.
        public var changesBackend: Bool
        /// How full the server's queue of notifications is. From `fullFrom` on SQL `notify` adds nothing, and no try was
        /// made here.
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

    /// Tries it on `listener`, which must have no transaction open; a notification that is not there within `timeout`
    /// does not come. `channel` is a name of letters, digits and underscores that nobody else uses.
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
            // A transaction takes the server that the listener had, if that was given back.
            try await notifier.simple("BEGIN", deadline: deadline)
            try await notifier.simple(pid, deadline: deadline)
            // With a pool of one, the listener would wait for the transaction: then it has no server of its own either.
            let second = try? await TextQuery.rows(pid, on: listener, deadline: .now() + timeout).int32(0, 0)
            changes = second != first
            try await notifier.simple("ROLLBACK", deadline: deadline)
        }
        await listener.onNotification(nil)
        // A pooled server outlives this session.
        _ = try? await listener.simple("UNLISTEN \(channel)", deadline: deadline)
        return Hearing(
            isHeard: seen.isHeard, isPooled: isPooled, changesBackend: changes, queuePercent: queuePercent)
    }

    /// `@unchecked Sendable`: touched on the loop's thread alone, where notifications arrive and this task runs.
    private final class Seen: @unchecked Sendable {
        var isHeard = false
    }
}
