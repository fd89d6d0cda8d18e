import EventLoop
import OTP
import Postgres
import Synchronization
import Testing
import Twilio

@testable import Queue
@testable import Worker

/// Twilio, as far as it knows risks.
private final class RiskStandIn: RiskReader {
    private let answers: [NumberRisk?]
    private let asked = Mutex(0)

    /// Gives the answers in order, the last one again and again. Nil: none until the task is canceled.
    init(_ answers: NumberRisk?...) { self.answers = answers }

    var count: Int { asked.withLock { $0 } }

    func risk(of number: PhoneNumber, deadline: Instant) async -> NumberRisk {
        let place = asked.withLock { asked in
            asked += 1
            return asked - 1
        }
        if let answer = answers[min(place, answers.count - 1)] { return answer }
        for await _ in AsyncStream<Void>.makeStream().stream {}
        return .failed(.noAnswer)
    }
}

private final class RiskTable: RiskDatabase {
    let recorded: Script<RecordRiskChecks, Void>

    init(_ answers: [Result<Void, PostgresError>] = []) { recorded = Script(answers, then: ()) }

    var source: ConnectionSource<any RiskDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func record(_ checks: RecordRiskChecks) async throws(PostgresError) { try recorded.answer(checks) }
}

@Suite struct RiskChecksTests {
    /// A sender with its checks.
    private struct Bench {
        let parts: Parts
        let channel = NotingChannel()
        let pool: RiskPool
        let checks: RiskChecks
        let sender: JobSender<NotingChannel>

        init(_ twilio: RiskStandIn, on loop: EventLoop, wait: Instant.Duration = .seconds(600)) {
            parts = Parts(on: loop, maxInFlight: 20).ready()
            pool = RiskPool(twilio, on: loop)
            checks = RiskChecks(parts.core, parts.jobs, pool, wait: wait)
            sender = parts.sender(channel, risks: checks)
        }

        func claim(_ jobs: [ClaimedJob], warning: String? = nil) {
            _ = parts.core.machine.claimEnded(
                count: jobs.count, limit: 512, oldestAge: .seconds(0), at: .now(), jitter: 0)
            sender.take(claimed(jobs, warning: warning), claimedAt: .now())
        }

        var posted: [Int64] { channel.posted.map(\.job) }

        /// Takes answers until no job waits for one.
        func settle() async {
            while !parts.jobs.checked.isEmpty {
                await pool.hasEnded.wait()
                checks.takeEnded()
            }
        }

        func recorded() async -> [RecordRiskChecks.Check] {
            let table = RiskTable()
            await checks.recordOnce(table.source)
            return table.recorded.calls.flatMap(\.checks)
        }
    }

    @Test("a suspicious text waits for its answer, and others do not wait for it")
    func waits() async throws {
        try await onLoop { loop in
            let bench = Bench(RiskStandIn(.score(90)), on: loop)
            let pool = bench.pool
            async let _: Void = pool.run()
            bench.claim([job(1, maxRisk: 90), job(2)])
            #expect(bench.posted == [2] && bench.parts.jobs.ids.sorted() == [1, 2])
            #expect(bench.parts.core.machine.inHand == 2 && bench.parts.core.machine.waiting == 0)
            await bench.settle()
            #expect(bench.posted == [2, 1] && bench.parts.recorder.unsaved == 0)
            #expect(await bench.recorded() == [.init(verification: 1, .passed, score: 90)])
            #expect(await bench.recorded().isEmpty, "each is recorded once")
        }
    }

    @Test("a text to a number whose risk is too high ends, and is not sent")
    func refuses() async throws {
        try await onLoop { loop in
            let bench = Bench(RiskStandIn(.score(91)), on: loop)
            let pool = bench.pool
            async let _: Void = pool.run()
            bench.claim([job(1, maxRisk: 90)])
            await bench.settle()
            #expect(bench.posted.isEmpty && bench.parts.recorder.ids == [1] && bench.parts.core.machine.inHand == 0)
            #expect(!bench.parts.jobs.handedOver.contains(1) && bench.parts.core.tally.failed == 0)
            #expect(await bench.recorded() == [.init(verification: 1, .refused, score: 91)])
        }
    }

    @Test("without a usable answer the text is sent, and each kind of failure is logged once until one succeeds")
    func failsOpen() async throws {
        try await onLoop { loop in
            let answers: [NumberRisk] = [
                .failed(.noAnswer), .failed(.noAnswer), .failed(.refused(code: 20003)), .failed(.noAnswer), .unknown,
                .failed(.noAnswer),
            ]
            let bench = Bench(
                RiskStandIn(answers[0], answers[1], answers[2], answers[3], answers[4], answers[5]), on: loop)
            let pool = bench.pool
            async let _: Void = pool.run()
            for id in 1...6 {
                bench.claim([job(Int64(id), maxRisk: 0)])
                await bench.settle()
            }
            #expect(bench.posted == [1, 2, 3, 4, 5, 6] && bench.parts.log.messages.count == 3)
            #expect(
                await bench.recorded().map(\.outcome) == [.failed, .failed, .failed, .failed, .unknown, .failed])
        }
    }

    @Test("a text waits no longer than its time, even for a place, and a later answer changes nothing")
    func isLate() async throws {
        try await onLoop { loop in
            let bench = Bench(RiskStandIn(nil), on: loop, wait: .milliseconds(1))
            let (pool, sent) = (bench.pool, Latch(on: loop))
            async let _: Void = pool.run()
            bench.channel.onPost = { sent.signal() }
            let jobs = (1...RiskChecks.atATime + 1).map { job(Int64($0), maxRisk: 0) }
            bench.claim(jobs)
            while bench.posted.count < jobs.count { await sent.wait() }
            #expect(bench.posted.sorted() == jobs.map(\.id) && bench.parts.jobs.checked.isEmpty)
            #expect(await bench.recorded().map(\.outcome) == jobs.map { _ in .failed })
            bench.checks.takeEnded()
            #expect(bench.posted.count == jobs.count && bench.parts.core.machine.inHand == jobs.count)
        }
    }

    @Test("a few are looked up at a time, and the others after them")
    func atATime() async throws {
        try await onLoop { loop in
            let bench = Bench(RiskStandIn(.score(1)), on: loop)
            let pool = bench.pool
            bench.claim((1...RiskChecks.atATime + 2).map { job(Int64($0), maxRisk: 50) })
            #expect(pool.underWay == RiskChecks.atATime)
            async let _: Void = pool.run()
            await bench.settle()
            #expect(bench.posted.count == RiskChecks.atATime + 2)
        }
    }

    @Test("a job whose check ends during a drain goes back, and the worker waits for it")
    func drains() async throws {
        try await onLoop { loop in
            let bench = Bench(RiskStandIn(.score(1)), on: loop)
            let pool = bench.pool
            bench.claim([job(1, maxRisk: 50)])
            bench.parts.core.machine.drain()
            #expect(bench.parts.core.machine.decide(at: .now()) == .wait(until: nil))
            async let _: Void = pool.run()
            await bench.settle()
            #expect(bench.posted.isEmpty && bench.parts.recorder.ids == [1])
            #expect(bench.parts.core.machine.decide(at: .now()) == .finished)
        }
    }

    @Test("nothing is looked up for jobs that end anyway, for a probe, or for a code with hardly a life left")
    func goesWithout() async throws {
        try await onLoop { loop in
            let twilio = RiskStandIn(.score(99))
            let bench = Bench(twilio, on: loop)
            bench.claim([
                job(1, endReason: .canceled, maxRisk: 0), job(2, life: .milliseconds(1900), maxRisk: 0), job(3),
            ])
            bench.claim([job(4, maxRisk: 0)], warning: "canceling wait for synchronous replication")
            #expect(bench.parts.jobs.checked.isEmpty && bench.pool.underWay == 0)
            _ = bench.parts.core.machine.paused(.init(words: "No.", remedy: "Wait."), at: .now())
            bench.claim([job(5, maxRisk: 0)])
            #expect(bench.parts.jobs.checked.isEmpty && bench.pool.underWay == 0 && twilio.count == 0)
        }
    }

    @Test("checks that cannot be recorded are dropped, and that is logged once")
    func recordFails() async throws {
        try await onLoop { loop in
            let bench = Bench(RiskStandIn(.score(1)), on: loop)
            let pool = bench.pool
            async let _: Void = pool.run()
            let table = RiskTable([.failure(.refused("42501")), .failure(.refused("42501"))])
            for id in [1, 2, 3] {
                bench.claim([job(Int64(id), maxRisk: 50)])
                await bench.settle()
                await bench.checks.recordOnce(table.source)
            }
            #expect(bench.posted == [1, 2, 3] && table.recorded.calls.count == 3)
            #expect(table.recorded.calls.allSatisfy { $0.checks.count == 1 })
            #expect(bench.parts.log.messages.count == 1)
        }
    }
}
