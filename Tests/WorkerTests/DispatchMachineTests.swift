import EventLoop
import TestSupport
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 1_000_000_000_000)

@Suite("Dispatch machine")
struct DispatchMachineTests {
    /// A machine whose window has opened to the whole, unless it is to be cold.
    private func machine(_ maxInFlight: Int = 64, rate: Double? = nil, isCold: Bool = false) -> DispatchMachine {
        var machine = DispatchMachine(maxInFlight: maxInFlight, ratePerSecond: rate, now: start)
        machine.database.canClaim = true
        machine.database.canRecord = true
        machine.schedule.isListening = true
        if !isCold {
            for step in 0..<Int64(maxInFlight) {
                machine.throttle.answered(concurrency: 1, at: start - .seconds(20) + .milliseconds(step * 10))
            }
        }
        return machine
    }

    /// Claims what the machine asks for and hands it all over.
    private func fill(_ machine: inout DispatchMachine, count: Int, at now: Instant = start) {
        guard case .claim(let limit, _) = machine.decide(at: now) else {
            Issue.record("it does not want to claim")
            return
        }
        machine.claimBegan(at: now)
        _ = machine.claimEnded(
            count: min(count, limit), limit: limit, oldestAge: .milliseconds(1), at: now, jitter: 0.5)
        while machine.mayHandOver(at: now) { machine.handedOver(from: "", at: now) }
    }

    @Test("a worker claims for its free slots, and nothing ahead of a rate that it does not know")
    func freeSlots() {
        var machine = machine()
        #expect(machine.decide(at: start) == .claim(limit: 64, .oldestFirst))
    }

    @Test("a cold worker begins with a part of its slots, and has them all two round trips later")
    func cold() {
        var machine = machine(isCold: true)
        var now = start
        for slots in [16, 32, 64] {
            machine.schedule.wake(at: now)
            guard case .claim(let limit, _) = machine.decide(at: now) else { return #expect(Bool(false)) }
            #expect(limit >= slots)
            machine.claimBegan(at: now)
            _ = machine.claimEnded(count: limit, limit: limit, oldestAge: .milliseconds(1), at: now, jitter: 0.5)
            while machine.mayHandOver(at: now) { machine.handedOver(from: "", at: now) }
            #expect(machine.inFlight == slots)
            for _ in 0..<slots {
                machine.sendEnded(at: now)
                machine.throttle.answered(concurrency: slots, at: now)
            }
            now = now + ThrottleMachine.doubling
        }
    }

    @Test("throttled, it claims and hands over no more than Twilio takes, and waits for its turn")
    func throttled() {
        var machine = machine()
        _ = machine.throttle.throttled(handedOverAt: start, concurrency: 1, retryAfter: nil, seen: nil, at: start)
        guard case .claim(let limit, _) = machine.decide(at: start) else { return #expect(Bool(false)) }
        #expect(limit < 8)
        fill(&machine, count: limit)
        machine.schedule.wake(at: start)
        guard case .wait(let until?) = machine.decide(at: start) else { return #expect(Bool(false)) }
        #expect(until > start)
    }

    @Test("without a database it claims nothing")
    func noDatabase() {
        var machine = machine()
        machine.database.canClaim = false
        #expect(machine.decide(at: start) == .wait(until: nil))
        machine.database.canClaim = true
        machine.database.canRecord = false
        #expect(machine.decide(at: start) == .wait(until: nil), "what can't be written down is not begun")
    }

    @Test("with too many unsaved results it claims nothing, until they are written")
    func unsaved() {
        var machine = machine(10)
        machine.database.unsaved = 10 * 2 + DispatchMachine.largestBatch + 1
        #expect(machine.decide(at: start) == .wait(until: nil))
        machine.database.unsaved -= 1
        #expect(machine.decide(at: start) == .claim(limit: 10, .oldestFirst))
    }

    @Test("with all slots busy and tokens to spend it waits for a slot, not for a token that is there")
    func busyWithTokens() {
        var machine = machine(4, rate: 100)
        fill(&machine, count: 4)
        #expect(machine.inFlight == 4)
        machine.schedule.wake(at: start)
        #expect(machine.decide(at: start) == .wait(until: nil))
    }

    @Test("with every slot busy and no rate known it waits for one to be free")
    func busy() {
        var machine = machine()
        fill(&machine, count: 64)
        #expect(machine.inFlight == 64)
        #expect(machine.decide(at: start) == .wait(until: nil))
        machine.sendEnded(at: start)
        // One for the slot, and two ahead: one send in a tenth of a second is ten in a second.
        #expect(machine.decide(at: start) == .claim(limit: 1 + 2, .oldestFirst))
    }

    @Test("under load it claims about a quarter of a second ahead, never more than a batch")
    func ahead() {
        var machine = machine()
        var now = start
        // 1,000 sends/s for two seconds.
        for _ in 0..<2000 {
            now = now + .milliseconds(1)
            machine.schedule.wake(at: now)
            fill(&machine, count: 1, at: now)
            machine.sendEnded(at: now)
        }
        machine.schedule.wake(at: now)
        guard case .claim(let limit, _) = machine.decide(at: now) else { return #expect(Bool(false)) }
        #expect((64 + 200...64 + 270).contains(limit))
    }

    @Test("ahead of itself it lets half the ahead go out before it claims again, so that batches stay large")
    func hysteresis() {
        var machine = machine(10)
        var now = start
        for _ in 0..<4000 {
            now = now + Instant.Duration(nanoseconds: 500_000)
            machine.schedule.wake(at: now)
            fill(&machine, count: 1, at: now)
            machine.sendEnded(at: now)
        }
        machine.schedule.wake(at: now)
        fill(&machine, count: 512, at: now)
        #expect(machine.inFlight == 10)
        #expect(machine.waiting > 400)
        #expect(machine.decide(at: now) == .wait(until: nil))
    }

    @Test("a lone end is written at once; those that follow wait for 10 ms, unless they are many or the worker leaves")
    func records() {
        var machine = machine()
        #expect(machine.recordsWait(count: 1, at: start) == nil)
        machine.recordsBegan(at: start)
        #expect(machine.recordsWait(count: 1, at: start) == start + .milliseconds(10))
        #expect(machine.recordsWait(count: 255, at: start + .milliseconds(9)) == start + .milliseconds(10))
        #expect(machine.recordsWait(count: 256, at: start) == nil)
        #expect(machine.recordsWait(count: 1, at: start + .milliseconds(10)) == nil)
        machine.drain()
        #expect(machine.recordsWait(count: 1, at: start) == nil)
    }

    @Test("a full batch is followed by a claim at once, a part of one by a wait")
    func fullBatch() {
        var machine = machine()
        fill(&machine, count: 64)
        for _ in 0..<64 { machine.sendEnded(at: start) }
        #expect(machine.decide(at: start) == .claim(limit: 64 + 160, .oldestFirst))
        fill(&machine, count: 3)
        guard case .wait(let until?) = machine.decide(at: start) else { return #expect(Bool(false)) }
        #expect(until > start)
    }

    @Test("jobs that ended within a claim fill it, and wait for no hand-over")
    func endedWithinTheClaim() {
        var machine = machine()
        machine.claimBegan(at: start)
        _ = machine.claimEnded(count: 2, ended: 62, limit: 64, oldestAge: .seconds(0), at: start, jitter: 0)
        #expect(machine.decide(at: start) == .claim(limit: 62, .oldestFirst))
        while machine.mayHandOver(at: start) { machine.handedOver(from: "", at: start) }
        #expect(machine.inFlight == 2)
        machine.claimBegan(at: start)
        _ = machine.claimEnded(count: 0, ended: 62, limit: 62, oldestAge: .seconds(0), at: start, jitter: 0)
        for _ in 0..<2 { machine.sendEnded(at: start) }
        guard case .claim(let limit, .oldestFirst) = machine.decide(at: start) else {
            Issue.record("it does not want to claim")
            return
        }
        #expect(limit >= 64, "no place is taken")
    }

    @Test("old jobs in full batches turn it to the newest first, and a batch that is not full turns it back")
    func overload() {
        var machine = machine()
        machine.claimBegan(at: start)
        _ = machine.claimEnded(count: 64, limit: 64, oldestAge: .seconds(6), at: start, jitter: 0)
        while machine.mayHandOver(at: start) { machine.handedOver(from: "", at: start) }
        for _ in 0..<64 { machine.sendEnded(at: start) }
        #expect(machine.decide(at: start) == .claim(limit: 64 + 160, .newestFirst))
        machine.claimBegan(at: start)
        _ = machine.claimEnded(count: 2, limit: 64, oldestAge: .seconds(30), at: start, jitter: 0)
        machine.schedule.wake(at: start)
        guard case .claim(_, .oldestFirst) = machine.decide(at: start) else { return #expect(Bool(false)) }
    }

    @Test("an old job in a batch that is not full is a straggler, not overload")
    func straggler() {
        var machine = machine()
        machine.claimBegan(at: start)
        _ = machine.claimEnded(count: 1, limit: 64, oldestAge: .seconds(60), at: start, jitter: 0)
        machine.schedule.wake(at: start)
        guard case .claim(_, .oldestFirst) = machine.decide(at: start) else { return #expect(Bool(false)) }
    }

    @Test("a rate limit bounds both the claim and the sends")
    func rate() {
        var machine = machine(64, rate: 100)
        guard case .claim(let limit, _) = machine.decide(at: start) else { return #expect(Bool(false)) }
        #expect(limit <= 10 + 25)
        machine.claimBegan(at: start)
        _ = machine.claimEnded(count: limit, limit: limit, oldestAge: .seconds(0), at: start, jitter: 0)
        var sent = 0
        while machine.mayHandOver(at: start) {
            machine.handedOver(from: "", at: start)
            sent += 1
        }
        #expect(sent == 10)
        let next = machine.nextToken(after: start)
        #expect(next == start + .milliseconds(10) + Instant.Duration(nanoseconds: 1))
        let may = machine.mayHandOver(at: next!)
        #expect(may)
    }

    @Test("draining claims nothing and has finished when nothing is in hand")
    func drain() {
        var machine = machine()
        fill(&machine, count: 2)
        machine.drain()
        #expect(machine.decide(at: start) == .wait(until: nil))
        machine.sendEnded(at: start)
        #expect(machine.decide(at: start) == .wait(until: nil))
        machine.sendEnded(at: start)
        #expect(machine.decide(at: start) == .finished)
    }

    @Test("paused, it claims one probe when its time has come and nothing else")
    func pausedProbe() {
        var machine = machine()
        let reason = PauseMachine.Reason(words: "w", remedy: "r")
        #expect(machine.paused(reason, at: start) == .paused(reason))
        let probeAt = start + PauseMachine.firstProbe
        #expect(machine.decide(at: start) == .wait(until: probeAt))
        #expect(machine.decide(at: probeAt) == .claim(limit: 1, .oldestFirst))
        fill(&machine, count: 1, at: probeAt)
        #expect(machine.decide(at: probeAt) == .wait(until: nil))
        machine.sendEnded(at: probeAt)
        #expect(machine.reachedTwilio(at: probeAt) == .resumed(after: PauseMachine.firstProbe))
        #expect(machine.decide(at: probeAt) == .claim(limit: 16 + 2, .oldestFirst), "no stampede")
    }

    @Test("a probe that finds no job leaves the pause standing and tries again later")
    func emptyProbe() {
        var machine = machine()
        _ = machine.paused(.init(words: "w", remedy: "r"), at: start)
        let probeAt = start + PauseMachine.firstProbe
        fill(&machine, count: 0, at: probeAt)
        #expect(machine.pause.reason != nil)
        #expect(machine.decide(at: probeAt) == .wait(until: nil), "nothing is due: a NOTIFY will say so")
        machine.schedule.wake(at: probeAt)
        #expect(machine.decide(at: probeAt) == .wait(until: probeAt + PauseMachine.firstProbe))
    }

    @Test("a probe that is dropped before it is handed over leaves the pause standing, and another one follows")
    func droppedProbe() {
        var machine = machine()
        _ = machine.paused(.init(words: "w", remedy: "r"), at: start)
        let probeAt = start + PauseMachine.firstProbe
        machine.schedule.wake(at: probeAt)
        #expect(machine.decide(at: probeAt) == .claim(limit: 1, .oldestFirst))
        machine.claimBegan(at: probeAt)
        _ = machine.claimEnded(count: 1, limit: 1, oldestAge: .seconds(0), at: probeAt, jitter: 0)
        _ = machine.dropped(at: probeAt)
        machine.schedule.wake(at: probeAt)
        let again = probeAt + PauseMachine.firstProbe
        #expect(machine.decide(at: probeAt) == .wait(until: again))
        #expect(machine.decide(at: again) == .claim(limit: 1, .oldestFirst))
    }

    @Test("asked to probe, it does so at once, as soon as a job is due, and reports the probe's result")
    func probeOnDemand() {
        var machine = machine()
        let reason = PauseMachine.Reason(words: "w", remedy: "r")
        machine.probeNow(at: start)
        #expect(machine.pause.reason == nil, "not paused: nothing to probe")
        _ = machine.paused(reason, at: start)
        machine.probeNow(at: start)
        #expect(machine.decide(at: start) == .claim(limit: 1, .oldestFirst))
        fill(&machine, count: 0, at: start)
        let due = start + .milliseconds(300)
        machine.schedule.expect(at: due)
        #expect(machine.decide(at: due) == .claim(limit: 1, .oldestFirst), "not only after the first wait")
        fill(&machine, count: 1, at: due)
        machine.sendEnded(at: due)
        #expect(machine.paused(reason, at: due) == .paused(reason), "the answer says that the pause is the same")
        machine.schedule.wake(at: due)
        #expect(machine.decide(at: due) == .wait(until: due + PauseMachine.firstProbe + PauseMachine.firstProbe))

        // Asked while a probe is on its way: that one's answer counts, and no other follows it at once.
        let next = due + PauseMachine.firstProbe + PauseMachine.firstProbe
        fill(&machine, count: 1, at: next)
        machine.probeNow(at: next)
        machine.sendEnded(at: next)
        #expect(machine.reachedTwilio(at: next) == .resumed(after: next - start))
    }

    @Test(
        "in an outage it checks the connection though nothing is due; what was claimed ahead goes when one job has got through"
    )
    func outage() {
        var machine = machine()
        fill(&machine, count: 0, at: start)
        let reason = PauseMachine.Reason(words: "w", remedy: "r", kind: .outage)
        for _ in 0..<PauseMachine.outagesInARow { _ = machine.unreachable(reason, at: start) }
        let checkAt = start + PauseMachine.firstCheck
        #expect(machine.decide(at: start) == .wait(until: checkAt))
        machine.database.canClaim = false
        #expect(machine.decide(at: checkAt) == .connectivityCheck, "the database has nothing to do with it")
        machine.database.canClaim = true
        machine.connectivityCheckBegan()
        #expect(machine.decide(at: checkAt) == .wait(until: nil))
        machine.connectivityCheckEnded(isAnswered: true, at: checkAt)
        #expect(machine.decide(at: checkAt) == .claim(limit: 1, .oldestFirst))
        machine.claimBegan(at: checkAt)
        #expect(
            machine.claimEnded(count: 0, limit: 1, oldestAge: .seconds(0), at: checkAt, jitter: 0)
                == .resumed(after: PauseMachine.firstCheck))
        #expect(machine.decide(at: checkAt) == .claim(limit: 16, .oldestFirst), "no stampede")
    }

    @Test("refused claims are repeated once a second, however many wakes come")
    func refusedClaims() {
        var machine = machine()
        var now = start
        var claims = 0
        while now < start + .seconds(10) {
            machine.schedule.wake(at: now)
            switch machine.decide(at: now) {
            case .claim:
                claims += 1
                machine.claimBegan(at: now)
                _ = machine.claimFailed(at: now, retryAt: now + .seconds(1))
            case .wait, .connectivityCheck, .finished: break
            }
            now = now + .milliseconds(7)
        }
        #expect((9...11).contains(claims))
    }

    @Test("whatever happens, in flight and waiting never go below zero or above their bounds", arguments: 0..<60)
    func randomWalk(seed: Int) {
        var random = SeededGenerator(seed)
        var machine = machine(8, rate: seed % 3 == 0 ? 50 : nil)
        var now = start
        for _ in 0..<500 {
            now = now + .milliseconds(Int64(random.next() % 40))
            switch random.next() % 6 {
            case 0: machine.schedule.wake(at: now)
            case 1 where machine.inFlight > 0:
                machine.sendEnded(at: now)
                if random.next() % 2 == 0 { _ = machine.reachedTwilio(at: now) }
            case 2 where machine.waiting > 0: _ = machine.dropped(at: now)
            case 3 where random.next() % 10 == 0: _ = machine.paused(.init(words: "w", remedy: "r"), at: now)
            case 4 where random.next() % 2 == 0:
                _ = machine.unreachable(.init(words: "n", remedy: "r", kind: .outage), at: now)
            case 5 where machine.decide(at: now) == .connectivityCheck:
                machine.connectivityCheckBegan()
                machine.connectivityCheckEnded(isAnswered: random.next() % 2 == 0, at: now)
            default:
                guard case .claim(let limit, _) = machine.decide(at: now) else { break }
                #expect(limit > 0 && limit <= DispatchMachine.largestBatch)
                machine.claimBegan(at: now)
                if random.next() % 8 == 0 {
                    _ = machine.claimFailed(at: now, retryAt: now + .milliseconds(100))
                } else {
                    _ = machine.claimEnded(
                        count: Int(random.next() % UInt64(limit + 1)), limit: limit,
                        oldestAge: .milliseconds(Int64(random.next() % 9000)), at: now, jitter: 0.5)
                }
            }
            while machine.mayHandOver(at: now) { machine.handedOver(from: "", at: now) }
            #expect((0...8).contains(machine.inFlight))
            #expect((0...8 + DispatchMachine.largestBatch).contains(machine.waiting))
        }
        machine.drain()
        while machine.waiting > 0 { _ = machine.dropped(at: now) }
        while machine.inFlight > 0 { machine.sendEnded(at: now) }
        #expect(machine.decide(at: now) == .finished)
    }
}
