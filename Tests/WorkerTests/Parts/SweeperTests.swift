import EventLoop
import Postgres
import Synchronization
import Testing

@testable import Queue
@testable import Worker

/// A connection that sweeps.
private final class SweepStandIn: SweepDatabase {
    let sweeps: Script<[Int64], Sweep.Swept>
    let others = Script<String, Void>(then: ())
    let dead: [Int64]

    init(_ answers: [Result<Sweep.Swept, PostgresError>] = [], dead: [Int64] = []) {
        sweeps = Script(answers, then: .made())
        self.dead = dead
    }

    var source: ConnectionSource<any SweepDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func sweep(from start: Int64?, isIdle: Bool, limit: Int, excluded: [Int64]) async throws(PostgresError)
        -> Sweep.Swept
    { try sweeps.answer([Int64(limit)] + excluded) }

    func sweepNext(excluded: [Int64]) async throws(PostgresError) -> [Int64] { [7] }

    func markDead() async throws(PostgresError) -> [Int64] {
        try others.answer("dead")
        return dead
    }

    func recordHistory() async throws(PostgresError) -> Instant.Duration {
        try others.answer("history")
        return .seconds(60)
    }

    func prune() async throws(PostgresError) -> Bool {
        try others.answer("prune")
        return false
    }
}

extension Sweep.Swept {
    fileprivate static func made(
        lostLeases: Int = 0, expired: Int = 0, unknownFailed: Int = 0, nextLeaseEnd: Instant.Duration? = nil
    ) -> Sweep.Swept {
        Sweep.Swept(
            lostLeases: lostLeases, expired: expired, unknownFailed: unknownFailed, nextLeaseEnd: nextLeaseEnd,
            budgetPauseEnd: nil, lookedAt: 0)
    }
}

@Suite struct SweeperTests {
    @Test("an idle worker's next sweep comes by the schedule; the history is due each minute, a prune after one")
    func idle() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = SweepStandIn(dead: [9])
            var now = Instant(nanoseconds: 1_000_000_000_000)
            let start = now
            var sweeper = Sweeper(parts.core, parts.claimer(), parts.maintenance, database.source) { now }
            #expect(
                await sweeper.round()
                    == .wanted(since: start, atMost: Sweeper.idle, by: start + .seconds(60)))
            #expect(database.others.calls == ["dead", "history"])
            #expect(parts.log.messages == ["another worker counts as dead: it stopped sending heartbeats"])
            now = start + .seconds(61)
            _ = await sweeper.round()
            #expect(database.others.calls == ["dead", "history", "dead", "history", "prune"])
        }
    }

    @Test("with work in hand it sweeps every 2 s, and sooner where a lease ends; a full sweep follows at once")
    func busy() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            parts.recorder.end(UnsentEnd(job: 1, attempt: 1, .release))
            let database = SweepStandIn([
                .success(.made()), .success(.made(nextLeaseEnd: .milliseconds(150))),
                .success(.made(expired: Sweep.most)),
            ])
            var sweeper = Sweeper(parts.core, parts.claimer(), parts.maintenance, database.source)
            #expect(await sweeper.round() == .span(.seconds(2)))
            #expect(await sweeper.round() == .span(.milliseconds(200)))
            #expect(await sweeper.round() == .none)
        }
    }

    @Test("lost leases are looked for at once")
    func lostLeases() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = SweepStandIn([.success(.made(lostLeases: 1))])
            var sweeper = Sweeper(parts.core, parts.claimer(), parts.maintenance, database.source)
            _ = await sweeper.round()
            #expect(await parts.maintenance.wait(for: .lookUp, since: .now(), atMost: .seconds(60)))
        }
    }

    @Test("a refused sweep is halved at once; a job that is refused alone is left out, and logged once")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let refusals = Array(
                repeating: Result<Sweep.Swept, PostgresError>.failure(.refused("23514")), count: 9)
            let database = SweepStandIn(refusals)
            var sweeper = Sweeper(parts.core, parts.claimer(), parts.maintenance, database.source)
            var waits: [Sweeper.Wait] = []
            for _ in 0..<10 { waits.append(await sweeper.round()) }
            #expect(waits.prefix(8).allSatisfy { $0 == .none } && waits[8] == .span(Sweeper.busy))
            #expect(database.sweeps.calls.last == [1, 7], "without the job at fault")
            #expect(parts.log.messages == ["cannot sweep the queue; trying again"])
        }
    }
}
