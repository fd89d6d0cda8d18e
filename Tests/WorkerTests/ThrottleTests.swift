import EventLoop
import TestSupport
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 1_000_000_000)

/// A stand-in for Twilio in simulated time: so many requests at a time, so many in each second, each taking `latency`.
private struct Server {
    let atATime: Int
    let perSecond: Int
    let latency: ClosedRange<Double>

    struct Result {
        var accepted = 0
        var throttled = 0
        var span = 0.0
        var mostAtATime = 0
    }

    /// Sends `jobs` jobs through the machine; what is refused goes again. `waits` stands for the dispatcher's backoff.
    func run(jobs: Int, maxInFlight: Int = 64, seed: UInt64) -> Result {
        var machine = ThrottleMachine(maxInFlight: maxInFlight, now: start)
        var random = SeededGenerator(seed)
        var now = start
        var flights: [(ends: Instant, began: Instant, isTaken: Bool, concurrency: Int)] = []
        var (second, inSecond) = (Int64(-1), 0)
        var result = Result()
        var left = jobs
        while result.accepted < jobs {
            while left > 0, machine.mayHandOver(inFlight: flights.count, at: now) {
                machine.handedOver(at: now)
                left -= 1
                if now.nanoseconds / 1_000_000_000 != second {
                    second = now.nanoseconds / 1_000_000_000
                    inSecond = 0
                }
                inSecond += 1
                let isTaken = flights.count(where: \.isTaken) < atATime && inSecond <= perSecond
                let share = Double(random.next() % 1000) / 1000
                let span = isTaken ? latency.lowerBound + share * (latency.upperBound - latency.lowerBound) : 0.002
                flights.append((now + Instant.Duration(seconds: span), now, isTaken, flights.count + 1))
                result.mostAtATime = max(result.mostAtATime, flights.count)
            }
            let ends = flights.map(\.ends).min()
            let turn = left > 0 ? machine.next(inFlight: flights.count, after: now) : nil
            let next = [ends, turn.map { max($0, now + Instant.Duration(nanoseconds: 1)) }].compactMap { $0 }.min()
            guard let next, now - start < .seconds(3600) else { break }
            now = next
            for flight in flights where flight.ends <= now {
                if flight.isTaken {
                    result.accepted += 1
                    machine.answered(concurrency: flight.concurrency, at: now)
                } else {
                    result.throttled += 1
                    left += 1
                    _ = machine.throttled(
                        handedOverAt: flight.began, concurrency: flight.concurrency, retryAfter: .seconds(1), seen: nil,
                        at: now)
                }
            }
            flights.removeAll { $0.ends <= now }
        }
        result.span = (now - start).seconds
        return result
    }
}

@Suite("Throttle machine")
struct ThrottleMachineTests {
    /// Issue 5: 5,000 jobs at 95% or more of the allowed rate, under 1% of answers 429.
    @Test(
        "it begins with a quarter of the allowed requests, and after a pause with a few",
        arguments: [(1, 1, 1), (8, 8, 8), (64, 16, 16), (400, 100, 16), (1024, 256, 16)])
    func begins(most: Int, first: Int, afterPause: Int) {
        var machine = ThrottleMachine(maxInFlight: most, now: start)
        #expect(machine.concurrency == first)
        // A round trip doubles it, and not more, however many answers come at once.
        for _ in 0..<4 * most { machine.answered(concurrency: 1, at: start) }
        #expect(machine.concurrency == min(2 * first, most))
        machine.pauseEnded(at: start)
        #expect(machine.concurrency == afterPause)
        for _ in 0..<4 * most { machine.answered(concurrency: 1, at: start) }
        #expect(machine.concurrency == min(2 * 16, most))
    }

    @Test("Twilio's limit is used, and hardly ever exceeded", arguments: 1...40 as ClosedRange<UInt64>)
    func learnsTheRate(seed: UInt64) {
        let result = Server(atATime: 20, perSecond: 50, latency: 0.002...0.02).run(jobs: 5000, seed: seed)
        #expect(result.accepted == 5000)
        #expect(5000 / result.span >= 0.95 * 50, "\(result)")
        #expect(Double(result.throttled) < 0.01 * 5000, "\(result)")
    }

    @Test("where only the number at a time is limited, that is learned", arguments: 1...12 as ClosedRange<UInt64>)
    func learnsTheWindow(seed: UInt64) {
        let result = Server(atATime: 20, perSecond: 100_000, latency: 0.08...0.12).run(jobs: 20_000, seed: seed)
        #expect(result.accepted == 20_000)
        #expect(20_000 / result.span >= 0.95 * 200, "\(result)")
        #expect(Double(result.throttled) < 0.01 * 20_000, "\(result)")
    }

    /// Some of ten refused for a while, then none: the codes of before the storm must not wait for minutes.
    @Test("a storm of 429s is forgotten soon after", arguments: 1...12 as ClosedRange<UInt64>, [8, 1])
    func storm(seed: UInt64, ofTen: UInt64) {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        var random = SeededGenerator(seed)
        var now = start
        func second(isStorm: Bool) -> Int {
            var taken = 0
            for _ in 0..<200 {
                now = now + .milliseconds(5)
                guard machine.mayHandOver(inFlight: 0, at: now) else { continue }
                machine.handedOver(at: now)
                if isStorm, random.next() % 10 < ofTen {
                    _ = machine.throttled(handedOverAt: now, concurrency: 1, retryAfter: .seconds(1), seen: 1, at: now)
                } else {
                    machine.answered(concurrency: 1, at: now)
                    taken += 1
                }
            }
            return taken
        }
        for _ in 0..<10 { _ = second(isStorm: false) }
        for _ in 0..<20 { _ = second(isStorm: true) }
        for _ in 0..<20 { _ = second(isStorm: false) }
        #expect(second(isStorm: false) >= 100, "200 a second were taken before")
    }

    @Test("without a 429 it opens to the whole at once, and paces nothing", arguments: 1...5 as ClosedRange<UInt64>)
    func unlimited(seed: UInt64) {
        let result = Server(atATime: 1000, perSecond: 1_000_000, latency: 0.05...0.05).run(jobs: 6400, seed: seed)
        #expect(result.throttled == 0)
        #expect(result.mostAtATime == 64)
        // A hundred round trips of 50 ms would be the best.
        #expect(result.span < 5.3)
    }

    @Test("never more at a time than asked for, and at least one", arguments: [1, 2, 5, 64])
    func bounds(most: Int) {
        var machine = ThrottleMachine(maxInFlight: most, now: start)
        var now = start
        for round in 0..<400 {
            now = now + .milliseconds(10)
            if round % 7 == 0 {
                _ = machine.throttled(handedOverAt: now, concurrency: 3, retryAfter: nil, seen: nil, at: now)
            } else {
                machine.answered(concurrency: 1, at: now)
            }
            #expect((1...most).contains(machine.concurrency))
        }
    }

    @Test("a 429 to a request that was under way when the last one came changes nothing")
    func onceForAll() {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        for step in 0..<Int64(48) { machine.answered(concurrency: 16, at: start + .milliseconds(step * 2)) }
        #expect(machine.concurrency == 64)
        let at = start + .milliseconds(500)
        for _ in 0..<30 {
            _ = machine.throttled(handedOverAt: start, concurrency: 64, retryAfter: nil, seen: nil, at: at)
        }
        #expect(machine.concurrency == 60)
    }

    @Test("a second 429, soon after the pace was lowered, holds everything for as long as Twilio asks")
    func held() {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        _ = machine.throttled(handedOverAt: start, concurrency: 1, retryAfter: .seconds(1), seen: nil, at: start)
        var now = start + .seconds(1)
        let before = machine.mayHandOver(inFlight: 0, at: now)
        #expect(before)
        machine.handedOver(at: now)
        _ = machine.throttled(handedOverAt: now, concurrency: 1, retryAfter: .seconds(3), seen: nil, at: now)
        #expect(machine.next(inFlight: 0, after: now)! >= now + .seconds(3))
        let during = machine.mayHandOver(inFlight: 0, at: now + .milliseconds(2999))
        now = now + .seconds(5)
        let after = machine.mayHandOver(inFlight: 0, at: now)
        #expect([during, after] == [false, true])
    }

    @Test("where Twilio saw few at a time, the window is not to blame")
    func fewAtATime() {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        _ = machine.throttled(handedOverAt: start, concurrency: 16, retryAfter: nil, seen: 2, at: start)
        #expect(machine.concurrency == 16)
        #expect(machine.pace != nil)
    }

    @Test("after five minutes without a 429, no limit is left")
    func forgets() {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        _ = machine.throttled(handedOverAt: start, concurrency: 1, retryAfter: nil, seen: nil, at: start)
        #expect(machine.isThrottled)
        _ = machine.mayHandOver(inFlight: 0, at: start + .seconds(301))
        #expect(!machine.isThrottled)
        #expect(machine.pace == nil)
    }

    @Test("a pause's end is no stampede")
    func afterAPause() {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        for step in 0..<Int64(100) { machine.answered(concurrency: 1, at: start + .milliseconds(step)) }
        #expect(machine.concurrency == 64)
        machine.pauseEnded(at: start)
        #expect(machine.concurrency == 16)
    }

    /// Whether a 429 makes the worker pause: what was asked, how long ago the last one was taken.
    @Test(
        "a Twilio that takes nothing and asks for a long wait is not asked again soon",
        arguments: [
            (nil, nil, false), (0.0, nil, false), (5.0, nil, false), (6.0, nil, true), (86_400.0, nil, true),
            // Others are taken: the window and the pace shrink, and no more.
            (86_400.0, 1.0, false), (86_400.0, 3.0, true), (nil, 3.0, false),
        ] as [(Double?, Double?, Bool)])
    func longWaits(_ asked: Double?, _ sinceTaken: Double?, _ pauses: Bool) {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        if sinceTaken != nil { machine.answered(concurrency: 1, at: start) }
        let now = start + Instant.Duration(seconds: sinceTaken ?? 0)
        let takesNothing = machine.throttled(
            handedOverAt: now, concurrency: 1, retryAfter: asked.map { Instant.Duration(seconds: $0) }, seen: nil,
            at: now)
        #expect(takesNothing == pauses)
        // Nothing holds longer than what a pause would say.
        #expect(machine.next(inFlight: 0, after: now)! <= now + .seconds(6))
    }

    @Test("endless refusals are noticed, refusals among requests that are taken are not")
    func endlessRefusals() {
        var machine = ThrottleMachine(maxInFlight: 64, now: start)
        func refuse(at now: Instant) -> Bool {
            machine.throttled(handedOverAt: now, concurrency: 16, retryAfter: nil, seen: nil, at: now)
        }
        for step in 0..<Int64(1000) {
            let now = start + .milliseconds(step * 10)
            if step % 100 == 0 { machine.answered(concurrency: 1, at: now) } else { #expect(!refuse(at: now)) }
        }
        let stalled = start + .milliseconds(9010)
        #expect(!refuse(at: stalled + .milliseconds(1990)))
        #expect(refuse(at: stalled + .milliseconds(2000)))
        machine.answered(concurrency: 1, at: stalled + .seconds(3))
        #expect(!refuse(at: stalled + .seconds(3)))
        // Few in a row may be by chance, however long they take.
        for minute in 1..<Int64(7) { #expect(!refuse(at: stalled + .seconds(3 + minute * 60))) }
        #expect(refuse(at: stalled + .seconds(3 + 420)))
    }
}
