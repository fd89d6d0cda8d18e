import EventLoop
import OTP
import Postgres
import Synchronization
import Testing

@testable import Queue
@testable import Worker

/// A connection that claims.
final class ClaimStandIn: ClaimDatabase {
    let claims: Script<Int, ClaimedJobs>
    let lost: [LostJob]
    let known: Set<MessageSID>
    let written = Script<[Int64], FinishAccepted.Surplus>(then: .init(all: 0, second: 0, takenIDs: 0))
    let recalled = Script<Int, Int>(then: 0)

    /// Answers claims with `answers` in order, then with nothing; and cancels the task that asks then.
    init(
        _ answers: [Result<ClaimedJobs, PostgresError>] = [], lost: [LostJob] = [], known: Set<MessageSID> = []
    ) {
        claims = Script(answers, then: claimed([]), onEmpty: cancelTask)
        self.lost = lost
        self.known = known
    }

    var source: ConnectionSource<any ClaimDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func claim(
        limit: Int, _ scan: Claim.Scan, quarantined: Bool, channels: [Channel], worker: Int64, keys: CodeKeys,
        at began: Instant
    ) async throws(PostgresError) -> ClaimedJobs { try claims.answer(limit) }

    func findLost(worker: Int64, inHand: [Int64]) async throws(PostgresError) -> [LostJob] {
        lost.filter { !inHand.contains($0.id) }
    }

    func known(_ sids: [MessageSID]) async throws(PostgresError) -> Set<MessageSID> { known.intersection(sids) }

    func recall(_ attempts: RecallUnknown, worker: Int64) async throws(PostgresError) -> Int {
        _ = try recalled.answer(attempts.count)
        return attempts.count
    }

    func write(_ results: SendResults, worker: Int64) async throws(PostgresError) -> FinishAccepted.Surplus {
        try written.answer(results.jobs)
    }

    func locked(_ jobs: [Int64]) async throws(PostgresError) -> Set<Int64> { [] }
}

@Suite struct ClaimerTests {
    @Test("it claims for the free slots, hands over what came, and ends when the worker has drained")
    func claims() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop, maxInFlight: 4).ready()
            let database = ClaimStandIn([.success(claimed([job(1), job(2)]))])
            var taken: [Int64] = []
            await parts.claimer().run(database.source) { claimed, _ in
                taken += claimed.jobs.map(\.id)
                for _ in claimed.jobs { _ = parts.core.machine.dropped(at: .now()) }
                parts.core.machine.drain()
            }
            #expect(taken == [1, 2] && database.claims.calls == [4] && parts.core.tally.claimed == 2)
            #expect(!Task.isCancelled, "it ended by itself")
        }
    }

    @Test("a refused claim is logged once, and the next one waits")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = ClaimStandIn([.failure(.refused("42501"))])
            let source = ConnectionSource<any ClaimDatabase> { _ throws(PostgresError) in
                if database.claims.calls.isEmpty { cancelTask() }
                return database
            }
            await parts.claimer().run(source) { _, _ in }
            #expect(parts.log.messages == ["cannot claim jobs; trying again"])
            #expect(parts.core.machine.schedule.next.map { $0 > .now() } == true)
        }
    }

    @Test("a worker without its number claims nothing")
    func unregistered() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            parts.core.machine.database.canClaim = true
            parts.recorder.connection(isUp: true)
            let database = ClaimStandIn()
            let source = ConnectionSource<any ClaimDatabase> { _ throws(PostgresError) in
                cancelTask()
                return database
            }
            await parts.claimer().run(source) { _, _ in }
            #expect(database.claims.calls.isEmpty)
        }
    }

    @Test("in an outage Twilio is asked before a job is claimed as a probe")
    func connectivityCheck() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let now = Instant.now()
            let began = now - .seconds(60)
            for _ in 0..<PauseMachine.outagesInARow {
                _ = parts.core.machine.unreachable(.init(words: "", remedy: "", kind: .outage), at: began)
            }
            let database = ClaimStandIn([])
            await parts.claimer(isReachable: true).run(database.source) { _, _ in }
            #expect(database.claims.calls == [1] && parts.core.machine.pause.reason == nil)
        }
    }

    @Test("while one quarantined job is in hand no other is asked for; with work in hand it is not idle")
    func inHand() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let claimer = parts.claimer()
            #expect(claimer.isIdle && !claimer.isBusy)
            parts.recorder.end(UnsentEnd(job: 1, attempt: 1, .release))
            #expect(claimer.isBusy && !claimer.isIdle)
        }
    }
}

@Suite struct ReasserterTests {
    @Test("results that another server has lost are written there before anything is claimed")
    func reasserts() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            for id in [1, 2] as [Int64] {
                parts.jobs.handedOver.wasAccepted(
                    AcceptedMessage(
                        job: id, attempt: 1, verification: id, requestedAt: id, sid: .made(Int(id)), status: .queued,
                        sender: nil), at: .now())
            }
            parts.jobs.handedOver.isUnknown(job: 3, attempt: 1, verification: 3, requestedAt: 3, at: .now())
            parts.reasserter.reached(nil)
            #expect(parts.reasserter.isNeeded)
            let database = ClaimStandIn(known: [.made(1)])
            await parts.claimer().run(database.source) { _, _ in }
            #expect(!parts.reasserter.isNeeded)
            #expect(database.written.calls == [[2]] && database.recalled.calls == [1])
            #expect(database.claims.calls.count == 1, "then it claims")
            #expect(await parts.maintenance.wait(for: .lookUp, since: .now(), atMost: .seconds(60)) || Task.isCancelled)
        }
    }

    @Test("a message that the database refuses stops no other")
    func refusedRow() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            parts.jobs.handedOver.wasAccepted(
                AcceptedMessage(
                    job: 1, attempt: 1, verification: 1, requestedAt: 1, sid: .made(1), status: .queued, sender: nil),
                at: .now())
            parts.reasserter.reached(nil)
            let database = RefusingStandIn()
            try await parts.reasserter.reassert(on: database, 1)
            #expect(parts.log.messages == ["cannot record again a message that Twilio accepted"])
            #expect(!parts.reasserter.isNeeded)
        }
    }

    @Test("jobs of a lost claim go back only on the server that was asked; what was handed over is unknown")
    func lostClaim() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let server = ServerInstance.made(timeline: 1)
            parts.reasserter.reached(server)
            let here = ClaimStandIn(lost: [LostJob(id: 5), LostJob(id: 6)])
            parts.jobs.handedOver.isUnknown(job: 6, attempt: 1, verification: 6, requestedAt: 6, at: .now())
            parts.reasserter.lostClaim(askedOf: server)
            try await parts.reasserter.settleLostClaim(on: here, 1)
            #expect(here.written.calls == [[5, 6]])
            try await parts.reasserter.settleLostClaim(on: here, 1)
            #expect(here.written.calls.count == 1, "it is settled once")
            parts.reasserter.lostClaim(askedOf: nil)
            let elsewhere = ClaimStandIn(lost: [LostJob(id: 7)])
            try await parts.reasserter.settleLostClaim(on: elsewhere, 1)
            #expect(elsewhere.written.calls.isEmpty, "its lease has to lapse")
        }
    }

    @Test("after a promotion, claims wait for the other workers")
    func promotion() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            parts.reasserter.reached(.made(timeline: 1))
            #expect(parts.reasserter.claimsWait(at: .now()) == nil)
            parts.core.machine.schedule.workers = (0, 2)
            parts.reasserter.reached(.made(timeline: 2))
            #expect(parts.reasserter.claimsWait(at: .now()) != nil)
            #expect(parts.reasserter.claimsWait(at: .now() + Times.reassertion) == nil)
        }
    }
}

/// A connection of a database that refuses each message.
private struct RefusingStandIn: ClaimDatabase {
    func claim(
        limit: Int, _ scan: Claim.Scan, quarantined: Bool, channels: [Channel], worker: Int64, keys: CodeKeys,
        at began: Instant
    ) async throws(PostgresError) -> ClaimedJobs { throw .refused("42501") }

    func findLost(worker: Int64, inHand: [Int64]) async throws(PostgresError) -> [LostJob] { [] }
    func known(_ sids: [MessageSID]) async throws(PostgresError) -> Set<MessageSID> { [] }
    func recall(_ attempts: RecallUnknown, worker: Int64) async throws(PostgresError) -> Int { 0 }
    func write(_ results: SendResults, worker: Int64) async throws(PostgresError) -> FinishAccepted.Surplus {
        throw .refused("23514")
    }
    func locked(_ jobs: [Int64]) async throws(PostgresError) -> Set<Int64> { [] }
}

extension ServerInstance {
    static func made(timeline: UInt32) -> ServerInstance { ServerInstance(startedAt: 1, timeline: timeline) }
}
