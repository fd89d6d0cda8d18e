import EventLoop
import Glibc
import Postgres
import Synchronization
import Testing

private let sleepLong = Statement("sleep", "SELECT pg_sleep(60)")
private let one = Statement("one", "SELECT 1::int8")

/// The error that `body` throws.
private func failure(_ body: () async throws -> Void) async -> PostgresError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? PostgresError
    }
}

@Suite("PostgreSQL: what goes wrong", .timeLimit(.minutes(10)))
struct FailureTests {
    @Test("an error in the middle of a pipeline leaves its neighbours alone")
    func middle() async throws {
        try await withConnection { connection in
            let divide = Statement("divide", "SELECT 10 / $1", [.int4])
            let outcomes = await withTaskGroup(of: (Int32, String).self) { group in
                for divisor in -2...2 as ClosedRange<Int32> {
                    group.addTask(executorPreference: connection.loop) {
                        do {
                            let result = try await connection.execute(
                                divide, .of { $0.append(divisor) }, deadline: soon)
                            return (divisor, "\(try result.int32(0, 0))")
                        } catch {
                            return (divisor, (error as? PostgresError)?.sqlstate ?? "\(error)")
                        }
                    }
                }
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            #expect(outcomes == [-2: "-5", -1: "-10", 0: "22012", 1: "10", 2: "5"])
        }
    }

    @Test("a deferred constraint that fails at the commit fails the statement")
    func commit() async throws {
        try await withConnection { connection in
            try await connection.simple(
                "CREATE TEMP TABLE d (n int8, CONSTRAINT d_once UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)",
                deadline: soon)
            let insert = Statement("insert_d", "INSERT INTO d VALUES (1), (1)")
            let error = await failure { _ = try await connection.execute(insert, deadline: soon) }
            guard case .server(let server) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(server.sqlstate == "23505" && server.constraint == "d_once")
            try await expectAlive(connection)
        }
    }

    @Test("a plan that no longer fits, and a statement that is gone, are prepared again unseen")
    func stale() async throws {
        try await withConnection { connection in
            try await connection.simple("CREATE TEMP TABLE s (a int8); INSERT INTO s VALUES (1)", deadline: soon)
            let all = Statement("all", "SELECT * FROM s")
            #expect(try await connection.execute(all, deadline: soon).columnCount == 1)
            try await connection.simple("ALTER TABLE s ADD b text DEFAULT 'x'", deadline: soon)
            #expect(try await connection.execute(all, deadline: soon).columnCount == 2)
            try await connection.simple("DEALLOCATE ALL", deadline: soon)
            #expect(try await connection.execute(all, deadline: soon).columnCount == 2)
            // In a block it can't be hidden, and the cause is reported.
            try await connection.simple("ALTER TABLE s ADD c text", deadline: soon)
            try await connection.simple("BEGIN", deadline: soon)
            let error = await failure { _ = try await connection.execute(all, deadline: soon) }
            #expect(error?.sqlstate == "0A000")
            try await connection.simple("ROLLBACK", deadline: soon)
            #expect(try await connection.execute(all, deadline: soon).columnCount == 3)
        }
    }

    @Test("a backend that is terminated mid-statement: lost, with the server's words, the outcome unknown")
    func terminated() async throws {
        try await onLoop { loop in
            let victim = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let killer = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let pid = await victim.backendPID
            async let error = failure { _ = try await victim.execute(sleepLong, deadline: soon) }
            try await waitForSleep(of: pid, killer)
            let terminate = Statement("terminate", "SELECT pg_terminate_backend($1)", [.int4])
            _ = try await killer.execute(terminate, .of { $0.append(pid) }, deadline: soon)
            guard case .lost(let loss) = await error else {
                Issue.record("not lost")
                return
            }
            #expect(loss.outcome == .unknown)
            #expect(loss.lastError?.sqlstate == "57P01")
            #expect(await victim.isLost)
            let after = await failure { _ = try await victim.execute(one, deadline: soon) }
            guard case .lost(let later) = after else {
                Issue.record("not lost")
                return
            }
            #expect(later.outcome == .notSent)
            await killer.close()
        }
    }

    @Test("a deadline that cancels keeps the connection, and the statement is known to be undone")
    func deadlineCancels() async throws {
        try await withConnection { connection in
            let error = await failure {
                _ = try await connection.execute(
                    sleepLong, deadline: .now() + .seconds(1), onDeadline: .cancel)
            }
            #expect(error == .deadline(.rolledBack))
            try await expectAlive(connection)
            let simple = await failure {
                try await connection.simple(
                    "SELECT pg_sleep(60)", deadline: .now() + .seconds(1), onDeadline: .cancel)
            }
            #expect(simple == .deadline(.rolledBack))
            try await expectAlive(connection)
        }
    }

    @Test("a deadline that drops loses the connection and its neighbours")
    func deadlineDrops() async throws {
        try await withConnection { connection in
            async let neighbour = failure { _ = try await connection.execute(one, deadline: soon) }
            let error = await failure {
                _ = try await connection.execute(sleepLong, deadline: .now() + .seconds(1))
            }
            _ = await neighbour
            #expect(error == .deadline(.unknown))
            #expect(await connection.isLost)
        }
    }

    @Test("a deadline already past sends nothing")
    func deadlinePast() async throws {
        try await withConnection { connection in
            let error = await failure { _ = try await connection.execute(one, deadline: .now()) }
            #expect(error == .deadline(.notSent))
            #expect(await !connection.isLost)
        }
    }

    @Test("a canceled task: waits, cancels, or drops, as it said", arguments: [OnCancellation.wait, .cancel, .drop])
    func cancellation(_ way: OnCancellation) async throws {
        try await onLoop { loop in
            let connection = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let watcher = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let pid = await connection.backendPID
            let nap = Statement("nap", way == .wait ? "SELECT pg_sleep(0.5)" : "SELECT pg_sleep(60)")
            let task = Task(executorPreference: loop) {
                await failure { _ = try await connection.execute(nap, deadline: soon, onCancellation: way) }
            }
            try await waitForSleep(of: pid, watcher)
            task.cancel()
            let error = await task.value
            switch way {
            case .wait: #expect(error == nil)
            case .cancel: #expect(error == .canceled(.rolledBack))
            case .drop: #expect(error == .canceled(.unknown))
            }
            #expect(await connection.isLost == (way == .drop))
            await connection.close()
            await watcher.close()
        }
    }

    @Test("COPY is refused, and costs the connection")
    func copy() async throws {
        for sql in ["COPY (SELECT 1) TO STDOUT", "CREATE TEMP TABLE c (n int); COPY c FROM STDIN"] {
            try await withConnection { connection in
                let error = await failure { try await connection.simple(sql, deadline: soon) }
                guard case .misuse = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(await connection.isLost)
            }
        }
        try await withConnection { connection in
            let copy = Statement("copy", "COPY (SELECT 1) TO STDOUT")
            let error = await failure { _ = try await connection.execute(copy, deadline: soon) }
            #expect(error != nil)
        }
    }

    @Test("a peer that went silent: the deadline works, and nobody waits for the network")
    func halfOpen() async throws {
        let port = try #require(getenv("PGPORT").flatMap { UInt16(String(cString: $0)) })
        let proxy = try TCPProxy(to: port)
        defer { proxy.stop() }
        try await withConnection(ConnectionSettings("host=127.0.0.1 port=\(proxy.port)")) { connection in
            try await expectAlive(connection)
            proxy.freeze(newOnesToo: true)
            let start = Instant.now()
            let error = await failure {
                _ = try await connection.execute(one, deadline: start + .milliseconds(200))
            }
            #expect(error == .deadline(.unknown))
            // TCP alone would have waited half a minute (the user timeout).
            #expect((Instant.now() - start).seconds < 25)
        }
    }

    @Test("a peer that goes silent while a cancel is out: the grace ends it")
    func halfOpenCancel() async throws {
        let port = try #require(getenv("PGPORT").flatMap { UInt16(String(cString: $0)) })
        let proxy = try TCPProxy(to: port)
        defer { proxy.stop() }
        var settings = ConnectionSettings("host=127.0.0.1 port=\(proxy.port)")
        settings.cancelGrace = .milliseconds(200)
        try await withConnection(settings) { connection in
            _ = try await connection.execute(one, deadline: soon)
            proxy.freeze(newOnesToo: true)
            let error = await failure {
                _ = try await connection.execute(
                    one, deadline: .now() + .seconds(1), onDeadline: .cancel)
            }
            #expect(error == .deadline(.unknown))
            #expect(await connection.isLost)
        }
    }
}

/// Returns once the session `pid` is inside `pg_sleep`.
func waitForSleep(of pid: Int32, _ connection: Connection) async throws {
    let look = Statement(
        "look", "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", [.int4])
    while try await connection.execute(look, .of { $0.append(pid) }, deadline: soon).int64(0, 0) == 0 {
        await Task.yield()
    }
}

/// Checks that the connection still answers.
func expectAlive(_ connection: Connection) async throws {
    let answer = try await connection.execute(one, deadline: soon).int64(0, 0)
    #expect(answer == 1)
}
