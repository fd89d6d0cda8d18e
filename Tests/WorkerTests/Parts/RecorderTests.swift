import EventLoop
import OTP
import Postgres
import Queue
import Testing

@testable import Worker

/// A connection that records results.
private struct ResultStandIn: ResultDatabase {
    let script: Script<[Int64], FinishAccepted.Surplus>
    let lockedJobs: Set<Int64>

    init(
        _ answers: [Result<FinishAccepted.Surplus, PostgresError>] = [], locked: Set<Int64> = [],
        onEmpty: @escaping @Sendable () -> Void = {}
    ) {
        script = Script(answers, then: .init(all: 0, second: 0, takenIDs: 0), onEmpty: onEmpty)
        lockedJobs = locked
    }

    var source: ConnectionSource<any ResultDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func write(_ results: SendResults, worker: Int64) async throws(PostgresError) -> FinishAccepted.Surplus {
        try script.answer(results.jobs)
    }

    func locked(_ jobs: [Int64]) async throws(PostgresError) -> Set<Int64> { lockedJobs.intersection(jobs) }
}

@Suite struct RecorderTests {
    @Test("messages are recorded before other ends, each kind in one statement; then it ends with the claims")
    func records() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = ResultStandIn()
            parts.recorder.end(UnsentEnd(job: 3, attempt: 1, .failed))
            for id in [1, 2] { parts.recorder.accept(message(Int64(id)), at: .now()) }
            #expect(parts.recorder.unsaved == 3 && parts.recorder.ids == [1, 2, 3])
            await run(parts, database)
            #expect(database.script.calls == [[1, 2], [3]] && parts.recorder.unsaved == 0)
            #expect(parts.core.tally.accepted == 2 && parts.jobs.handedOver.contains(1))
        }
    }

    @Test("a refused batch is halved until the row at fault is alone, and that one waits beside the others")
    func halves() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = ResultStandIn(
                [.failure(.refused("23505")), .failure(.refused("23505"))], onEmpty: cancelTask)
            for id in [1, 2] { parts.recorder.accept(message(Int64(id)), at: .now()) }
            await parts.recorder.run(database.source, pauses: PauseStandIn().source)
            #expect(database.script.calls == [[1, 2], [1], [2]])
            #expect(parts.recorder.setAside == 1 && parts.recorder.ids == [1] && parts.recorder.trouble != nil)
            #expect(
                parts.log.messages == ["cannot record the result of a send yet; trying again"])
        }
    }

    @Test("a statement that met another one is repeated at once")
    func conflict() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = ResultStandIn([.failure(.refused("40001"))])
            parts.recorder.accept(message(1), at: .now())
            await run(parts, database)
            #expect(database.script.calls == [[1], [1]] && parts.log.messages.isEmpty)
        }
    }

    @Test("rows that another session holds are separated, and the rest is written")
    func locked() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = ResultStandIn([.failure(.refused("55P03"))], locked: [2], onEmpty: cancelTask)
            for id in [1, 2, 3] { parts.recorder.accept(message(Int64(id)), at: .now()) }
            await parts.recorder.run(database.source, pauses: PauseStandIn().source)
            #expect(database.script.calls == [[1, 2, 3], [1, 3]])
            #expect(parts.recorder.setAside == 1 && parts.recorder.ids == [2])
        }
    }

    @Test("a result beyond a job's first is logged")
    func beside() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = ResultStandIn([.success(.init(all: 2, second: 1, takenIDs: 1))])
            parts.recorder.accept(message(1), at: .now())
            await run(parts, database)
            #expect(parts.log.messages.count == 3)
        }
    }

    @Test("pauses are written before results, and a worker that leaves waits for those that can be")
    func pauses() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let pauses = PauseStandIn()
            parts.pauses.begin(Pause(.all, reason: "why", remedy: nil, isProbed: true))
            parts.recorder.claimsEnded()
            await parts.recorder.run(ResultStandIn().source, pauses: pauses.source)
            #expect(pauses.script.calls == ["begin all"])
        }
    }

    /// Until everything is recorded.
    private func run(_ parts: Parts, _ database: ResultStandIn) async {
        parts.recorder.drain()
        parts.core.machine.drain()
        parts.recorder.claimsEnded()
        await parts.recorder.run(database.source, pauses: PauseStandIn().source)
    }

    private func message(_ job: Int64) -> AcceptedMessage {
        AcceptedMessage(
            job: job, attempt: 1, verification: job, requestedAt: job, sid: .made(Int(job)), status: .queued,
            sender: nil)
    }
}
