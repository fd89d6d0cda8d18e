import EventLoop
import TestSupport
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)

@Suite("When to look for jobs")
struct ClaimScheduleTests {
    /// Lets all looks that are due at `now` find nothing.
    private func look(_ schedule: inout ClaimSchedule, at now: Instant, found: Int = 0, isFull: Bool = false) {
        schedule.looked(at: now)
        schedule.found(found, isFull: isFull, at: now, jitter: 0.5)
    }

    @Test("the first look is at once")
    func first() { #expect(ClaimSchedule(now: start).next == start) }

    @Test("listening and idle, it looks only when told to")
    func idle() {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        look(&schedule, at: start)
        #expect(schedule.next == nil)
    }

    @Test("without LISTEN it polls at least every 500 ms for ever", arguments: [0, 0.5, 0.999])
    func deaf(jitter: Double) {
        var schedule = ClaimSchedule(now: start)
        var now = start
        for _ in 0..<100 {
            schedule.looked(at: now)
            schedule.found(0, isFull: false, at: now, jitter: jitter)
            let next = schedule.next!
            #expect((next - now).seconds >= 0.3 && (next - now).seconds <= 0.5)
            now = next
        }
    }

    /// Looks within `seconds` of a wake every millisecond, each of which finds so many jobs; a look takes no time.
    private func looksInFlood(seconds: Int, draw: Int?, found: Int) -> Int {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        var count = 0
        for millisecond in 0..<Int64(seconds * 1000) {
            let now = start + .milliseconds(millisecond)
            schedule.notified(draw: draw, at: now)
            guard let next = schedule.next, next <= now else { continue }
            look(&schedule, at: now, found: found)
            count += 1
        }
        return count
    }

    @Test("a flood of wakes for nothing costs twenty looks a second, whatever they say", arguments: [nil, 7])
    func flood(draw: Int?) {
        let looks = looksInFlood(seconds: 60, draw: draw, found: 0)
        #expect(looks > 20 * 59 && looks < 64 + 20 * 61)
    }

    @Test("wakes that bring jobs are each looked after")
    func busy() { #expect(looksInFlood(seconds: 10, draw: nil, found: 1) == 10_000) }

    @Test("in a flood a job is looked for within 50 ms, and after it at once")
    func rest() {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        var now = start
        for _ in 0..<1000 {
            schedule.wake(at: now)
            let next = schedule.next!
            #expect((next - now).seconds < 0.0501)
            now = max(now, next)
            look(&schedule, at: now)
        }
        let later = now + .seconds(4)
        schedule.wake(at: later)
        #expect(schedule.next! <= later)
    }

    @Test("one request after another: no wake waits for its first look", arguments: [20, 50, 200, 1000] as [Int64])
    func requests(every milliseconds: Int64) {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        for request in 1...2000 as ClosedRange<Int64> {
            let now = start + .milliseconds(milliseconds * request)
            while let next = schedule.next, next < now { look(&schedule, at: next) }
            schedule.wake(at: now)
            #expect(schedule.next == now)
            look(&schedule, at: now, found: 1)
        }
    }

    @Test("a wake is followed by looks 5, 20 and 80 ms later, and by polls for 10 s")
    func wake() {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        look(&schedule, at: start)
        schedule.wake(at: start)
        var looks: [Double] = []
        while let next = schedule.next {
            looks.append((next - start).seconds * 1000)
            look(&schedule, at: next)
        }
        #expect(Array(looks.prefix(4)) == [0, 5, 20, 80])
        #expect(looks.last! > 9_300 && looks.last! < 10_500)
        #expect(looks.count > 20 && looks.count < 30)
    }

    /// What each of `count` workers does about a wake with this number, in milliseconds.
    private func looks(_ count: Int, draw: Int?) -> [[Double]] {
        (0..<count).map { before in
            var schedule = ClaimSchedule(now: start)
            schedule.isListening = true
            schedule.workers = (before, count)
            schedule.looked(at: start)
            schedule.notified(draw: draw, at: start)
            var looks: [Double] = []
            while let next = schedule.next, next < start + .milliseconds(100) {
                looks.append((next - start).seconds * 1000)
                schedule.looked(at: next)
            }
            return looks
        }
    }

    @Test("workers share the looks after a wake: each is one worker's, and each worker is the first in its turn")
    func shares() {
        for count in 1...9 {
            var first = Set<Int>()
            for draw in 0..<60 {
                let looks = looks(count, draw: draw)
                #expect(looks.flatMap { $0 }.sorted() == [0, 5, 20, 80], "\(count) workers, \(draw): \(looks)")
                for (worker, own) in looks.enumerated() where own.first == 0 { first.insert(worker) }
            }
            #expect(first.count == count)
        }
        #expect(looks(2, draw: 0) == [[0, 20], [5, 80]])
        #expect(looks(2, draw: 1) == [[5, 80], [0, 20]])
    }

    @Test("a wake without a number is everybody's, and so is one whose number is none", arguments: [nil, -1])
    func everybody(_ draw: Int?) {
        #expect(looks(3, draw: draw) == [[0, 5, 20, 80], [0, 5, 20, 80], [0, 5, 20, 80]])
    }

    @Test("a worker without a look of its own still polls for 10 s")
    func polls() {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        schedule.workers = (8, 9)
        look(&schedule, at: start)
        let later = start + .seconds(60)
        schedule.notified(draw: 0, at: later)
        var looks = 0
        while let next = schedule.next {
            #expect(next > later + .milliseconds(100))
            look(&schedule, at: next)
            looks += 1
        }
        #expect(looks > 15)
    }

    @Test("a full batch is looked after at once")
    func full() {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        look(&schedule, at: start, found: 64, isFull: true)
        #expect(schedule.next == start)
    }

    @Test("a wake during a look is not lost")
    func wakeDuringLook() {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        schedule.looked(at: start)
        schedule.wake(at: start + .milliseconds(1))
        schedule.found(0, isFull: false, at: start + .milliseconds(2), jitter: 0)
        #expect(schedule.next == start + .milliseconds(1))
    }

    @Test("an expected job is looked for when it is due, and expectations are bounded")
    func expect() {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = true
        look(&schedule, at: start)
        schedule.expect(at: start + .seconds(3))
        #expect(schedule.next == start + .seconds(3))
        for index in 0..<10_000 { schedule.expect(at: start + .milliseconds(Int64(3000 + index))) }
        #expect(schedule.next == start + .seconds(3))
    }

    @Test("a job expected later does not silence the poll", arguments: [true, false])
    func farLook(isListening: Bool) {
        var schedule = ClaimSchedule(now: start)
        schedule.isListening = isListening
        schedule.wake(at: start)
        schedule.expect(at: start + .seconds(15))
        var now = start
        while let next = schedule.next, next < start + .seconds(9) {
            #expect((next - now).seconds < 0.7)
            now = next
            look(&schedule, at: now)
        }
        #expect((now - start).seconds > 8)
    }

    @Test("workers with different jitter do not poll in step")
    func jitter() {
        var (a, b) = (ClaimSchedule(now: start), ClaimSchedule(now: start))
        a.looked(at: start)
        b.looked(at: start)
        a.found(0, isFull: false, at: start, jitter: 0)
        b.found(0, isFull: false, at: start, jitter: 0.9)
        #expect(a.next != b.next)
    }
}

@Suite("Token bucket")
struct TokenBucketTests {
    @Test("never more than the rate over any second", arguments: [1.0, 7, 50, 333])
    func bound(rate: Double) {
        var bucket = TokenBucket(perSecond: rate, now: start)
        var taken: [Instant] = []
        var now = start
        for _ in 0..<Int(3 * rate) {
            while !bucket.take(at: now) { now = bucket.nextToken(after: now) }
            taken.append(now)
        }
        for (index, first) in taken.enumerated() {
            let within = taken[index...].prefix { ($0 - first).seconds < 1 }.count
            #expect(Double(within) <= rate + max(1, rate / 10) + 1)
        }
        #expect((now - start).seconds > 1.8)
    }

    @Test("the instant of the next token is never early")
    func next() {
        var bucket = TokenBucket(perSecond: 3, now: start)
        var now = start
        for _ in 0..<50 {
            while bucket.take(at: now) {}
            now = bucket.nextToken(after: now)
            let took = bucket.take(at: now)
            #expect(took)
        }
    }

    @Test("a clock that stands still gives nothing")
    func still() {
        var bucket = TokenBucket(perSecond: 10, now: start)
        let took = [bucket.take(at: start), bucket.take(at: start), bucket.take(at: start - .seconds(5))]
        #expect(took == [true, false, false])
    }
}

@Suite("Pause machine")
struct PauseMachineTests {
    private let reason = PauseMachine.Reason(words: "Twilio refused the credentials", remedy: "Set the right token")

    @Test("an answer that demands a pause is announced once, however many requests meet it")
    func once() {
        var machine = PauseMachine()
        let changes = (0..<5).map { _ in machine.pause(reason, at: start) }
        #expect(changes == [.paused(reason), .none, .none, .none, .none])
    }

    @Test("probes come at growing intervals, up to a minute")
    func intervals() {
        var machine = PauseMachine()
        _ = machine.pause(reason, at: start)
        var now = start
        var waits: [Double] = []
        for _ in 0..<7 {
            guard case .none(let until?) = machine.allowance(at: now) else { return #expect(Bool(false)) }
            waits.append((until - now).seconds)
            now = until
            #expect(machine.allowance(at: now) == .probe)
            machine.probeTaken()
            #expect(machine.allowance(at: now) == .none(until: nil))
            #expect(machine.pause(reason, at: now) == .none)
        }
        #expect(waits == [5, 10, 20, 40, 60, 60, 60])
    }

    @Test("a probe that meets another reason says so")
    func otherReason() {
        var machine = PauseMachine()
        _ = machine.pause(reason, at: start)
        machine.probeTaken()
        let other = PauseMachine.Reason(words: "suspended", remedy: "pay")
        #expect(machine.pause(other, at: start) == .paused(other))
        #expect(machine.reason == other)
    }

    @Test("an older request that gets through while waiting does not end the pause; the probe does")
    func older() {
        var machine = PauseMachine()
        _ = machine.pause(reason, at: start)
        #expect(machine.reachedTwilio(at: start) == .none)
        #expect(machine.reason == reason)
        machine.probeTaken()
        #expect(machine.reachedTwilio(at: start + .seconds(6)) == .resumed(after: .seconds(6)))
        #expect(machine.state == .open)
        #expect(machine.allowance(at: start) == .unbounded)
    }
}

@Suite("Outages")
struct OutageTests {
    private let nobody = PauseMachine.Reason(words: "Twilio did not answer", remedy: "Look", kind: .outage)

    /// A machine that has just noticed an outage.
    private func out() -> PauseMachine {
        var machine = PauseMachine()
        for _ in 1..<PauseMachine.outagesInARow {
            #expect(machine.unreachable(nobody, at: start) == .none)
            #expect(machine.state == .open)
        }
        #expect(machine.unreachable(nobody, at: start) == .paused(nobody))
        return machine
    }

    @Test("sends that do not reach Twilio are an outage only in a row")
    func inARow() {
        var machine = PauseMachine()
        for _ in 0..<50 {
            for _ in 1..<PauseMachine.outagesInARow { #expect(machine.unreachable(nobody, at: start) == .none) }
            #expect(machine.reachedTwilio(at: start) == .none)
        }
        #expect(machine.state == .open)
    }

    @Test("it checks the connection at growing intervals up to two seconds, and takes no job meanwhile")
    func connectivityChecks() {
        var machine = out()
        var now = start
        var waits: [Double] = []
        for _ in 0..<5 {
            guard case .none(let until?) = machine.allowance(at: now) else { return #expect(Bool(false)) }
            waits.append((until - now).seconds)
            now = until
            #expect(machine.allowance(at: now) == .connectivityCheck)
            #expect(!machine.mayHandOver)
            machine.connectivityCheckBegan()
            #expect(machine.allowance(at: now) == .none(until: nil))
            machine.connectivityCheckEnded(isAnswered: false, at: now)
        }
        #expect(waits == [0.5, 1, 2, 2, 2])
    }

    /// Answers a connectivity check and takes the probe.
    private func probe(_ machine: inout PauseMachine, at now: Instant) {
        machine.connectivityCheckBegan()
        machine.connectivityCheckEnded(isAnswered: true, at: now)
        #expect(machine.allowance(at: now) == .probe)
        #expect(!machine.mayHandOver)
        machine.probeTaken()
        #expect(machine.mayHandOver)
        #expect(machine.allowance(at: now) == .none(until: nil))
    }

    @Test("an answered check is followed by one job, and that decides")
    func probes() {
        var machine = out()
        probe(&machine, at: start + .seconds(3))
        #expect(machine.reachedTwilio(at: start + .seconds(4)) == .resumed(after: .seconds(4)))
        #expect(machine.state == .open)
    }

    @Test("when the check is answered and the probe does not reach Twilio, the next is not before 1, 2, 4, 4 s")
    func failedProbes() {
        var machine = out()
        var now = start
        var waits: [Double] = []
        for _ in 0..<4 {
            probe(&machine, at: now)
            #expect(machine.unreachable(nobody, at: now) == .none)
            guard case .none(let until?) = machine.allowance(at: now) else { return #expect(Bool(false)) }
            waits.append((until - now).seconds)
            now = until
        }
        #expect(waits == [1, 2, 4, 4])
    }

    @Test("an answered check ends the outage when no job is there to probe with")
    func nothingDue() {
        var machine = out()
        probe(&machine, at: start + .seconds(1))
        #expect(machine.probeInconclusive(at: start + .seconds(2)) == .resumed(after: .seconds(2)))
        #expect(machine.state == .open)
        // The count begins again.
        #expect(machine.unreachable(nobody, at: start) == .none)
    }

    @Test("sends of before that come back change nothing while it checks", arguments: [false, true])
    func stragglers(isAnswered: Bool) {
        var machine = out()
        machine.connectivityCheckBegan()
        if isAnswered { machine.connectivityCheckEnded(isAnswered: true, at: start) }
        let before = machine.state
        #expect(machine.unreachable(nobody, at: start) == .none)
        #expect(machine.reachedTwilio(at: start) == .none)
        #expect(machine.pause(nobody, at: start) == .none)
        #expect(machine.probeInconclusive(at: start) == .none)
        machine.connectivityCheckBegan()
        #expect(machine.state == before)
    }

    @Test("an outage met by the probe of a refusal says nothing about the refusal")
    func otherPause() {
        let refusal = PauseMachine.Reason(words: "Twilio refused the credentials", remedy: "Set the right token")
        var machine = PauseMachine()
        #expect(machine.pause(refusal, at: start) == .paused(refusal))
        machine.probeTaken()
        #expect(machine.unreachable(nobody, at: start) == .none)
        #expect(machine.reason == refusal)
        #expect(machine.allowance(at: start) == .none(until: start + PauseMachine.firstProbe))
    }

    @Test("a refusal met by the probe of an outage takes its place")
    func refusedProbe() {
        let refusal = PauseMachine.Reason(words: "Twilio refused the credentials", remedy: "Set the right token")
        var machine = out()
        probe(&machine, at: start)
        #expect(machine.pause(refusal, at: start) == .paused(refusal))
        #expect(machine.allowance(at: start + .seconds(60)) == .probe)
    }
}

@Suite("Pauses by 429s and by another server in Twilio's place")
struct HeldTests {
    private let nobody = PauseMachine.Reason(words: "Twilio did not answer", remedy: "Look", kind: .outage)
    private let blocked = PauseMachine.Reason(words: "a proxy refused it", remedy: "Look", kind: .blocked)
    private let refusal = PauseMachine.Reason(words: "Twilio refused the credentials", remedy: "Set the right token")

    private func wait(_ machine: PauseMachine, at now: Instant) -> Double? {
        guard case .none(let until?) = machine.allowance(at: now) else { return nil }
        return (until - now).seconds
    }

    @Test(
        "the wait that was asked for is cut to a minute, and a probe goes after it",
        arguments: [(nil, 5), (0, 5), (7, 7), (60, 60), (86_400, 60)] as [(Int64?, Double)])
    func cut(asked: Int64?, waits: Double) {
        var machine = PauseMachine()
        let retryAfter = asked.map { Instant.Duration.seconds($0) }
        guard case .paused(let reason) = machine.throttled(retryAfter: retryAfter, takesNothing: true, at: start) else {
            return #expect(Bool(false))
        }
        #expect(reason.words.contains("429") && !reason.remedy.isEmpty)
        var now = start
        for _ in 0..<5 {
            #expect(wait(machine, at: now) == waits)
            now = now + Instant.Duration(seconds: waits)
            #expect(machine.allowance(at: now) == .probe)
            machine.probeTaken()
            // Said once, though each answer names another wait.
            #expect(machine.throttled(retryAfter: retryAfter, takesNothing: false, at: now) == .none)
        }
        now = now + Instant.Duration(seconds: waits)
        machine.probeTaken()
        #expect(machine.reachedTwilio(at: now) == .resumed(after: now - start))
    }

    @Test("a 429 among requests that are taken pauses nothing")
    func open() {
        var machine = PauseMachine()
        #expect(machine.throttled(retryAfter: .seconds(86_400), takesNothing: false, at: start) == .none)
        #expect(machine.state == .open)
    }

    @Test("where another request of the same moment was taken, the probe follows soon")
    func notAll() {
        var machine = PauseMachine()
        _ = machine.throttled(retryAfter: .seconds(86_400), takesNothing: true, at: start)
        #expect(machine.reachedTwilio(at: start) == .none)
        #expect(wait(machine, at: start) == 5)
        // Not so for a refusal.
        machine = PauseMachine()
        _ = machine.pause(refusal, at: start)
        machine.probeTaken()
        _ = machine.pause(refusal, at: start)
        _ = machine.reachedTwilio(at: start)
        #expect(wait(machine, at: start) == 10)
    }

    @Test("a 429 to the probe of another pause")
    func otherPauses() {
        // Of refused credentials it says nothing.
        var machine = PauseMachine()
        _ = machine.pause(refusal, at: start)
        machine.probeTaken()
        #expect(machine.throttled(retryAfter: .seconds(86_400), takesNothing: true, at: start) == .none)
        #expect(machine.reason == refusal)
        #expect(wait(machine, at: start) == 5)
        // An outage is over: by itself, or for a pause that says why.
        for takesNothing in [false, true] {
            machine = PauseMachine()
            _ = machine.pause(nobody, at: start)
            machine.connectivityCheckBegan()
            machine.connectivityCheckEnded(isAnswered: true, at: start)
            machine.probeTaken()
            let change = machine.throttled(retryAfter: .seconds(30), takesNothing: takesNothing, at: start)
            if takesNothing {
                guard case .paused = change else { return #expect(Bool(false)) }
                #expect(wait(machine, at: start) == 30)
            } else {
                #expect(change == .resumed(after: .seconds(0)))
            }
        }
    }

    @Test("a server in Twilio's place is probed by a job, not by a connectivity check, after 0.5, 1, 2, 4, 4 s")
    func blockedOnTheWay() {
        var machine = PauseMachine()
        for _ in 1..<PauseMachine.outagesInARow { #expect(machine.unreachable(blocked, at: start) == .none) }
        #expect(machine.unreachable(blocked, at: start) == .paused(blocked))
        var now = start
        var waits: [Double] = []
        for round in 0..<5 {
            let wait = wait(machine, at: now)!
            waits.append(wait)
            now = now + Instant.Duration(seconds: wait)
            #expect(machine.allowance(at: now) == .probe)
            machine.probeTaken()
            // Another server of the same firewall answers: no news.
            let same = PauseMachine.Reason(words: "proxy \(round) refused it", remedy: "Look", kind: .blocked)
            #expect(machine.unreachable(same, at: now) == .none)
            #expect(machine.reason == same)
        }
        #expect(waits == [0.5, 1, 2, 4, 4])
        // Nothing was due: only a job can tell.
        now = now + .seconds(4)
        machine.probeTaken()
        #expect(machine.probeInconclusive(at: now) == .none)
        #expect(machine.reason?.kind == .blocked)
        now = now + .seconds(5)
        machine.probeTaken()
        #expect(machine.reachedTwilio(at: now) == .resumed(after: now - start))
    }

    @Test("an outage behind a firewall, and a firewall after an outage, take each other's place")
    func becomesAnOutage() {
        var machine = PauseMachine()
        _ = machine.pause(blocked, at: start)
        machine.probeTaken()
        #expect(machine.unreachable(nobody, at: start) == .paused(nobody))
        #expect(machine.allowance(at: start + .seconds(5)) == .connectivityCheck)
        machine.connectivityCheckBegan()
        machine.connectivityCheckEnded(isAnswered: true, at: start)
        machine.probeTaken()
        #expect(machine.unreachable(blocked, at: start) == .paused(blocked))
        #expect(machine.allowance(at: start + .seconds(5)) == .probe)
    }
}

@Suite("Latency histogram")
struct LatencyHistogramTests {
    @Test("percentiles are within 13% above the true ones", arguments: 0..<20)
    func accuracy(seed: Int) {
        var random = SeededGenerator(seed)
        var histogram = LatencyHistogram()
        var all: [Int64] = []
        for _ in 0..<2000 {
            let value = Int64(1) << Int64(random.next() % 24)
            let micro = value + Int64(random.next() % UInt64(value))
            all.append(micro)
            histogram.add(microseconds: micro)
        }
        all.sort()
        for q in [0.5, 0.95, 0.99, 1.0] {
            let truth = Double(all[min(all.count - 1, Int((q * 2000).rounded(.up)) - 1)]) / 1000
            let said = histogram.percentile(q)!
            #expect(said >= truth && said <= truth * 1.13 + 0.002, "\(q): \(said) for \(truth)")
        }
    }

    @Test("nothing counted, nothing said; absurd values count at the edges")
    func edges() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(0.5) == nil)
        histogram.add(microseconds: -5)
        #expect(histogram.percentile(0.5)! < 0.003)
        histogram.add(microseconds: .max)
        #expect(histogram.percentile(1)! > 30_000)
        histogram.reset()
        #expect(histogram.percentile(0.5) == nil)
    }
}
