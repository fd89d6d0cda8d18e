import EventLoop
import Testing

@testable import Worker

@Suite("A pause of everything, by hand")
struct HaltTests {
    private let start = Instant(nanoseconds: 5_000_000_000)

    private func machine() -> DispatchMachine {
        var machine = DispatchMachine(maxInFlight: 4, ratePerSecond: nil, now: start)
        machine.database.canClaim = true
        machine.database.canRecord = true
        return machine
    }

    @Test("nothing is claimed and nothing handed over until it ends; then at once")
    func halts() {
        var machine = machine()
        machine.claimBegan(at: start)
        _ = machine.claimEnded(count: 2, limit: 4, oldestAge: .seconds(0), at: start, jitter: 0.5)
        machine.halt()
        let halted = machine.decide(at: start + .seconds(60))
        #expect(halted == .wait(until: nil))
        let mayWhileHalted = machine.mayHandOver(at: start + .seconds(60))
        #expect(!mayWhileHalted)
        let token = machine.nextToken(after: start)
        #expect(token == nil, "no timer runs for what may not go")
        machine.resume(at: start + .seconds(61))
        let may = machine.mayHandOver(at: start + .seconds(61))
        #expect(may)
        guard case .claim = machine.decide(at: start + .seconds(61)) else {
            Issue.record("no claim after the halt")
            return
        }
    }

    @Test("after a pause in part it begins carefully, where nothing else has been under way")
    func partResumed() {
        /// How many requests at a time it ventures after many got through, with `inFlight` still under way.
        func concurrency(inFlight: Int) -> Int {
            var machine = DispatchMachine(maxInFlight: 64, ratePerSecond: nil, now: start)
            machine.database.canClaim = true
            machine.database.canRecord = true
            var now = start
            for _ in 0..<200 {
                machine.claimBegan(at: now)
                _ = machine.claimEnded(count: 64, limit: 64, oldestAge: .seconds(0), at: now, jitter: 0.5)
                var sent = 0
                while machine.mayHandOver(at: now) {
                    machine.handedOver(from: "", at: now)
                    sent += 1
                }
                for _ in 0..<sent {
                    machine.sendEnded(at: now)
                    machine.throttle.answered(concurrency: sent, at: now)
                }
                while machine.waiting > 0 { _ = machine.dropped(at: now) }
                now = now + .milliseconds(100)
            }
            now = now + .seconds(30)
            if inFlight > 0 {
                machine.claimBegan(at: now)
                _ = machine.claimEnded(count: inFlight, limit: 64, oldestAge: .seconds(0), at: now, jitter: 0.5)
                for _ in 0..<inFlight { machine.handedOver(from: "", at: now) }
            }
            machine.partResumed(at: now)
            return machine.throttle.concurrency
        }
        #expect(concurrency(inFlight: 0) < concurrency(inFlight: 1))
    }

    @Test("a drain ends all the same")
    func drains() {
        var machine = machine()
        machine.halt()
        machine.drain()
        let decision = machine.decide(at: start)
        #expect(decision == .finished)
    }

    @Test("a worker's own pause says since when, and when it is probed")
    func pauseTimes() {
        var pause = PauseMachine()
        #expect(pause.since == nil && pause.nextProbe == nil)
        _ = pause.pause(.init(words: "w", remedy: "r"), at: start)
        #expect(pause.since == start && pause.nextProbe == start + .seconds(5))
        pause.probeTaken()
        #expect(pause.since == start && pause.nextProbe == nil)
        _ = pause.pause(.init(words: "w", remedy: "r"), at: start + .seconds(6))
        #expect(pause.since == start && pause.nextProbe == start + .seconds(16))
    }
}
