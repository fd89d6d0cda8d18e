public import EventLoop
public import Postgres

/// Identifies the server of a session: one run of one postmaster, on one timeline.
///
/// While it stays the same, every committed transaction is still there. A failover, or a restart from a backup, changes
/// it.
public struct ServerInstance: Sendable, Equatable, Comparable {
    /// When the postmaster started, in microseconds since the Unix epoch.
    public let startedAt: Int64
    /// The timeline, which each promotion raises.
    public let timeline: UInt32

    /// An older timeline comes first, and on one timeline the server that started first.
    public static func < (a: ServerInstance, b: ServerInstance) -> Bool {
        (a.timeline, a.startedAt) < (b.timeline, b.startedAt)
    }

    /// Every role may call both functions. The control file is not used, because after a promotion it names the old
    /// timeline until the next checkpoint has ended.
    private static let statement = Statement(
        "otpd_server_instance",
        """
        SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
               ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
        """)

    /// The server of `connection`. Nil if it does not tell: Amazon Aurora refuses queries about its WAL, and a role may
    /// have lost the right to ask.
    public static func read(on connection: Connection, deadline: Instant) async throws(PostgresError) -> ServerInstance?
    {
        do {
            var row = try await connection.execute(statement, deadline: deadline).reader()
            let startedAt: Int64 = try row.next()
            let timeline: Int64 = try row.next()
            return ServerInstance(startedAt: startedAt, timeline: UInt32(truncatingIfNeeded: timeline))
        } catch {
            if case .server = error { return nil }
            throw error
        }
    }
}
