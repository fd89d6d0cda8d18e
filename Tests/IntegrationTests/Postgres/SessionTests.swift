import EventLoop
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite("PostgreSQL: sessions", .timeLimit(.minutes(10)))
struct SessionTests {
    @Test("a session connects, connects again when its backend dies, runs its hook each time, and ends when canceled")
    func reconnects() async throws {
        try await onLoop { loop in
            let states = States()
            let counter = Counter()
            let session = Session(
                ConnectionSettings(), on: loop, random: { 0 },
                onConnect: { connection throws(PostgresError) in
                    counter.value.add(1, ordering: .relaxed)
                    try await connection.simple("LISTEN x", deadline: soon)
                }, onState: { states.append($0) })
            let running = Task(executorPreference: loop) { await session.run() }
            let first = try await session.connection(deadline: soon)
            let pid = await first.backendPID
            let killer = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let terminate = Statement("terminate", "SELECT pg_terminate_backend($1)", [.int4])
            _ = try await killer.execute(terminate, .of { $0.append(pid) }, deadline: soon)
            _ = await first.whenLost()
            var second = try await session.connection(deadline: soon)
            while second === first { second = try await session.connection(deadline: soon) }
            try await expectAlive(second)
            #expect(counter.value.load(ordering: .relaxed) == 2)
            running.cancel()
            await running.value
            #expect(await second.isLost)
            #expect(await session.state == .closed)
            let names = states.names
            #expect(names == ["connected", "connecting 57P01", "connected", "closed"])
            await #expect(throws: PostgresError.self) { try await session.connection(deadline: soon) }
            await killer.close()
        }
    }

    @Test("a session whose server is away says why, keeps trying, and its callers get an error in time")
    func away() async throws {
        try await onLoop { loop in
            let states = States()
            let session = Session(
                ConnectionSettings("host=127.0.0.1 port=1"), on: loop, random: { 0 }, onState: { states.append($0) })
            let running = Task(executorPreference: loop) { await session.run() }
            do {
                _ = try await session.connection(deadline: .now() + .seconds(2))
                Issue.record("connected to port 1")
            } catch {
                #expect("\(error)".contains("Connection refused"))
            }
            running.cancel()
            await running.value
            #expect(states.names.first == "connecting")
            #expect(states.names.last == "closed")
        }
    }

    @Test("an address where a statement passed its deadline comes last, though it is named first and takes connections")
    func leavesTheUnresponsive() async throws {
        let port = try Loopback.freePort()
        let server = try PostgresServer.port()
        let proxy = try TCPProxy(port: port, to: server)
        defer { proxy.stop() }
        try await onLoop { loop in
            let session = Session(
                ConnectionSettings("host=127.0.0.1,127.0.0.1 port=\(port),\(server)"), on: loop, random: { 0 })
            let running = Task(executorPreference: loop) { await session.run() }
            let first = try await session.connection(deadline: soon)
            #expect(await first.target == "127.0.0.1:\(port)")
            try await expectAlive(first)
            // The open connections are silent from now on. A new connection would work.
            proxy.freeze()
            await #expect(throws: PostgresError.self) {
                try await first.simple("SELECT 1", deadline: .now() + .milliseconds(300))
            }
            _ = await first.whenLost()
            var second = try await session.connection(deadline: soon)
            while second === first { second = try await session.connection(deadline: soon) }
            try await expectAlive(second)
            #expect(await second.target == "127.0.0.1:\(server)")
            running.cancel()
            await running.value
        }
    }

    @Test("a hook that throws is a failed attempt, and its connection is closed")
    func hookThrows() async throws {
        try await onLoop { loop in
            let counter = Counter()
            let session = Session(
                ConnectionSettings(), on: loop, random: { 0 },
                onConnect: { _ throws(PostgresError) in
                    if counter.value.add(1, ordering: .relaxed).oldValue == 0 { throw .misuse("not yet") }
                })
            let running = Task(executorPreference: loop) { await session.run() }
            let connection = try await session.connection(deadline: soon)
            try await expectAlive(connection)
            #expect(counter.value.load(ordering: .relaxed) == 2)
            running.cancel()
            await running.value
        }
    }
}

private final class Counter: Sendable { let value = Atomic(0) }

private final class States: Sendable {
    private let states = Mutex<[SessionState]>([])
    func append(_ state: SessionState) { states.withLock { $0.append(state) } }
    var names: [String] {
        states.withLock { states in
            states.map { state in
                switch state {
                case .connecting(_, let error): error?.sqlstate.map { "connecting \($0)" } ?? "connecting"
                case .connected: "connected"
                case .closed: "closed"
                }
            }
        }
    }
}
