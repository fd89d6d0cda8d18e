import EventLoop
import OTP
import Postgres
import Synchronization
import Testing

@testable import Queue
@testable import Worker

/// A connection that takes heartbeats.
private final class HeartbeatStandIn: HeartbeatDatabase {
    let beats: Script<WorkerReport.State, Heartbeat.Reply>
    let catalogs: Script<Void, LoadCatalog.Rows>
    let closed = Mutex(0)

    init(
        _ answers: [Result<Heartbeat.Reply, PostgresError>] = [],
        catalogs: [Result<LoadCatalog.Rows, PostgresError>] = []
    ) {
        beats = Script(answers, then: .made())
        self.catalogs = Script(catalogs, then: rows())
    }

    var source: ConnectionSource<any HeartbeatDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func beat(
        _ report: WorkerReport, worker: Int64, from start: Int64?, asksNextDue: Bool, isIdle: Bool,
        within span: Instant.Duration
    ) async throws(PostgresError) -> Heartbeat.Reply { try beats.answer(report.state) }

    func loadCatalog() async throws(PostgresError) -> LoadCatalog.Rows { try catalogs.answer(()) }

    func close() async { closed.withLock { $0 += 1 } }
}

extension Heartbeat.Reply {
    fileprivate static func made(isListening: Bool = true, clock: Int64 = 0) -> Heartbeat.Reply {
        Heartbeat.Reply(isListening: isListening, nextDue: nil, others: 0, before: 0, clock: clock, nextWork: nil)
    }
}

@Suite struct HeartbeatLoopTests {
    @Test("a heartbeat writes the row, and its reply is used; while idle, the next comes after 10 s")
    func beats() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = HeartbeatStandIn()
            var heard = 0
            let heartbeat = Self.loop(parts, database) { _ in heard += 1 }
            #expect(await heartbeat.round().atMost == HeartbeatLoop.busy, "the first one")
            #expect(await heartbeat.round().atMost == HeartbeatLoop.idle)
            #expect(database.beats.calls == [.running, .running] && heard == 2)
        }
    }

    @Test("without a number there is nothing to write")
    func unregistered() async throws {
        try await onLoop { loop in
            let database = HeartbeatStandIn()
            _ = await Self.loop(Parts(on: loop), database) { _ in }.round()
            #expect(database.beats.calls.isEmpty)
        }
    }

    @Test("a refused beat stops the claims until one is taken, and is logged once")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = HeartbeatStandIn([.failure(.refused("42501")), .failure(.refused("42501"))])
            let heartbeat = Self.loop(parts, database) { _ in }
            for _ in 0..<2 { _ = await heartbeat.round() }
            #expect(!parts.core.machine.database.isHeard)
            #expect(parts.log.messages == ["cannot write the heartbeat; nothing is claimed until it succeeds"])
            _ = await heartbeat.round()
            #expect(parts.core.machine.database.isHeard)
        }
    }

    @Test("a jump of the database's clock is said once, and counted for those that keep its times")
    func clockJumps() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let hour: Int64 = 3_600_000_000
            let database = HeartbeatStandIn([0, hour, hour].map { .success(.made(clock: $0)) })
            let heartbeat = Self.loop(parts, database) { _ in }
            for _ in 0..<3 { _ = await heartbeat.round() }
            #expect(parts.core.clockJumps == 1)
            #expect(parts.log.messages == ["the database's clock jumped"])
        }
    }

    @Test("a session that no longer listens is closed")
    func deaf() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = HeartbeatStandIn([.success(.made(isListening: false))])
            _ = await Self.loop(parts, database) { _ in }.round()
            #expect(database.closed.withLock { $0 } == 1)
        }
    }

    @Test("a catalog that has changed is read; where it can't be, the next beat tries again")
    func catalog() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = HeartbeatStandIn(catalogs: [.failure(.refused("42501"))])
            var read = 0
            let heartbeat = Self.loop(parts, database, read: { _ in read += 1 }) { _ in }
            _ = await heartbeat.round()
            #expect(database.catalogs.calls.isEmpty, "nothing has changed")
            parts.catalog.changed()
            _ = await heartbeat.round()
            #expect(read == 0)
            _ = await heartbeat.round()
            #expect(read == 1 && database.catalogs.calls.count == 2)
        }
    }

    @Test("the last beat says that it stopped, and is not sent without a connection")
    func final() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = HeartbeatStandIn()
            let heartbeat = Self.loop(parts, database) { _ in }
            await heartbeat.sendFinal()
            #expect(database.beats.calls == [.stopped])
            parts.core.machine.database.canClaim = false
            await heartbeat.sendFinal()
            #expect(database.beats.calls == [.stopped])
        }
    }

    private static func loop(
        _ parts: Parts, _ database: HeartbeatStandIn, read: @escaping (LoadCatalog.Rows) -> Void = { _ in },
        heard: @escaping (Heartbeat.Reply) -> Void
    ) -> HeartbeatLoop {
        let status = StatusReport(
            core: parts.core, pauses: parts.pauses, recorder: parts.recorder, windowNote: nil)
        let identity = HeartbeatLoop.Identity(
            base: WorkerReport(host: "host", pid: 1, version: "1"), onStatus: { _ in }, callbackCounts: { nil })
        return HeartbeatLoop(
            parts.core, parts.claimer(), parts.catalog, status, database.source, identity, heard: heard, read: read)
    }
}
