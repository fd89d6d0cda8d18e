import EventLoop
import TestSupport
import Testing

@testable import Postgres

/// Serialized, because it counts objects of the process and measures times.
@Suite("PostgreSQL: pipelining and leaks", .serialized, .timeLimit(.minutes(10)))
struct PipelineTests {
    @Test("100 executions at once overlap: they take far fewer turns of the loop than one after the other")
    func overlap() async throws {
        try await onLoop { loop in
            let connection = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let echo = Statement("echo_int", "SELECT $1", [.int8])
            _ = try await connection.execute(echo, .of { $0.append(0 as Int64) }, deadline: soon)
            let turns = Turns(loop)
            await turns.begin()
            for number in 0..<100 as Range<Int64> {
                _ = try await connection.execute(echo, .of { $0.append(number) }, deadline: soon)
            }
            let sequential = await turns.count
            let sum = try await withThrowingTaskGroup(of: Int64.self) { group in
                for number in 0..<100 as Range<Int64> {
                    group.addTask(executorPreference: loop) {
                        try await connection.execute(echo, .of { $0.append(number) }, deadline: soon).int64(0, 0)
                    }
                }
                return try await group.reduce(0, +)
            }
            let pipelined = await turns.count - sequential
            await turns.end()
            #expect(sum == 4950)
            #expect(sequential >= 100)
            #expect(pipelined < sequential, "\(pipelined) turns against \(sequential)")
            print("turns of the loop for 100 executions: \(sequential) one by one, \(pipelined) pipelined")
            await connection.close()
        }
    }

    @Test("a statement that waits for a lock holds up what is pipelined behind it, and then all are answered")
    func behindALock() async throws {
        try await onLoop { loop in
            let holder = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let connection = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            try await holder.simple("SELECT pg_advisory_lock(42)", deadline: soon)
            let lock = Statement("lock", "SELECT pg_advisory_lock(42)")
            let one = Statement("lock_one", "SELECT 1::int8")
            async let first = connection.execute(lock, deadline: soon)
            async let second = connection.execute(one, deadline: soon)
            try await holder.simple("SELECT pg_advisory_unlock(42)", deadline: soon)
            _ = try await first
            let answer = try await second.int64(0, 0)
            #expect(answer == 1)
            await holder.close()
            await connection.close()
        }
    }

    @Test("10,000 executions leave no result behind, the memory as it was, and the thread never")
    func leaks() async throws {
        try await onLoop { loop in
            let connection = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let rows = Statement("leak_rows", "SELECT n, repeat('x', 200) FROM generate_series(1, $1) n", [.int4])
            var parameters = Parameters()
            func round(_ count: Int) async throws {
                for _ in 0..<count {
                    parameters.removeAll()
                    parameters.append(16 as Int32)
                    _ = try await connection.execute(rows, parameters, deadline: soon)
                }
            }
            try await round(1000)
            let (before, foreign) = (residentKiB(), loop.foreignJobs)
            try await round(10_000)
            let growth = residentKiB() - before
            #expect(loop.foreignJobs == foreign)
            // If leaked, the results alone would be 60 MB. Other suites change the memory by up to 18 MB under load.
            #expect(growth < 32768, "\(growth) KiB more")
            // Other suites run at the same time and hold a few.
            #expect(QueryResult.live < 200, "\(QueryResult.live) results are alive")
            print("10,000 executions: \(growth) KiB more, \(loop.foreignJobs - foreign) jobs from other threads")
            await connection.close()
        }
    }

    @Test("opening and closing 200 connections leaves no session behind")
    func sessions() async throws {
        try await onLoop { loop in
            // The server counts, because other suites of this process open descriptors at the same time.
            let name = "leaves-no-session"
            let observer = try await Connection.open(ConnectionSettings(), on: loop, deadline: soon)
            let count = Statement("n", "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", [.text])
            func open() async throws -> Int64 {
                try await observer.execute(count, .of { $0.append(name) }, deadline: soon).int64(0, 0)
            }
            for number in 0..<200 {
                let connection = try await Connection.open(
                    ConnectionSettings(applicationName: name), on: loop, deadline: soon)
                _ = try await connection.execute(Statement("c", "SELECT 1"), deadline: soon)
                if number == 0 { #expect(try await open() == 1) }
                // Every other one is released without being closed.
                if number.isMultiple(of: 2) { await connection.close() }
            }
            // A session ends a moment after its descriptor is closed.
            try await eventually("the sessions end") { try await open() == 0 ? true : nil }
            await observer.close()
        }
    }
}

/// Counts turns of a loop.
private final class Turns: TurnObserver, @unchecked Sendable {
    private let loop: EventLoop
    private var turns = 0
    init(_ loop: EventLoop) { self.loop = loop }
    func turnWillBegin(at now: Instant) { turns += 1 }
    func turnWillEnd() {}
    var count: Int { get async { await Task(executorPreference: loop) { self.turns }.value } }
    func begin() async { await Task(executorPreference: loop) { self.loop.addObserver(self) }.value }
    func end() async { await Task(executorPreference: loop) { self.loop.removeObserver(self) }.value }
}

private func residentKiB() -> Int {
    let words = Files.read("/proc/self/statm").split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * 4 : 0
}
