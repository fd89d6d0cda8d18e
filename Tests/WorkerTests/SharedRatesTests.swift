import EventLoop
import TestSupport
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 1_000_000_000_000)

@Suite("Shared rates: of everything")
struct SharedRateTests {
    private func rates(_ total: Double?, others: Int? = 0, at now: Instant = start) -> SharedRates {
        var rates = SharedRates(now: now)
        rates.read(total: total, senders: [:], inUse: ["A"], at: now)
        if let others { rates.counted(others: others, at: now) }
        return rates
    }

    /// How many `rates` sends within a stretch, whenever it may.
    private func sent(_ rates: inout SharedRates, from: Instant, to: Instant, by sender: String = "A") -> Int {
        var (now, count) = (from, 0)
        while let next = rates.next(after: now), next < to {
            now = max(now, next)
            rates.sent(from: sender, at: now)
            count += 1
        }
        return count
    }

    @Test("without rates there is no limit, no wait and nothing to say")
    func none() {
        var rates = rates(nil, others: nil)
        let (next, within, turn) = (
            rates.next(after: start), rates.within(.seconds(1), of: start), rates.turn(of: "A", at: start)
        )
        #expect(next == start && within == .max && turn == .now)
        #expect(rates.isEmpty && !rates.hasSenders && rates.words(at: start) == nil)
    }

    @Test("nothing goes before the others have heard, nor before it is known how many they are")
    func joins() {
        var unknown = rates(40, others: nil)
        let never = unknown.next(after: start + .seconds(60))
        #expect(never == nil)
        #expect(unknown.within(.milliseconds(250), of: start + .seconds(60)) == 0)
        var joining = rates(40)
        #expect(joining.next(after: start) == start + .seconds(1))
        #expect(joining.within(.milliseconds(250), of: start + .milliseconds(999)) == 0)
        #expect(joining.within(.milliseconds(250), of: start + .seconds(1)) == 14)
        joining.joins(at: start + .seconds(10))
        #expect(joining.next(after: start + .seconds(10)) == start + .seconds(11))
    }

    @Test("a worker takes its part of the rate", arguments: [(0, 40), (1, 20), (3, 10), (39, 1), (79, 1)])
    func share(others: Int, perSecond: Int) {
        var rates = rates(40, others: others)
        let count = sent(&rates, from: start + .seconds(1), to: start + .seconds(21))
        let burst = max(1, perSecond / 10)
        #expect((count - burst) <= perSecond * 20 && count >= (others == 79 ? 10 : perSecond * 20))
    }

    @Test("with more workers it takes less at once; with fewer it takes more a second later")
    func changes() {
        var rates = rates(40, others: 0)
        _ = sent(&rates, from: start + .seconds(1), to: start + .seconds(2))
        let join = start + .seconds(2)
        rates.counted(others: 1, at: join)
        #expect(sent(&rates, from: join, to: join + .seconds(10)) <= 20 * 10 + 2)
        let leave = join + .seconds(10)
        rates.counted(others: 0, at: leave)
        #expect(sent(&rates, from: leave, to: leave + .seconds(1)) <= 20 + 1)
        #expect(sent(&rates, from: leave + .seconds(1), to: leave + .seconds(11)) >= 40 * 10 - 1)
        // A worker that leaves and comes back within the second changes nothing.
        rates.counted(others: 1, at: leave + .seconds(12))
        rates.counted(others: 0, at: leave + .seconds(13))
        rates.counted(others: 1, at: leave + .milliseconds(13_500))
        #expect(sent(&rates, from: leave + .seconds(14), to: leave + .seconds(24)) <= 20 * 10 + 2)
    }

    @Test("heartbeats that tell the same do not put off what they told first; a further fall waits its own second")
    func repeatedCounts() {
        var rates = rates(40, others: 3)
        let leave = start + .seconds(5)
        for step in 0..<Int64(10) { rates.counted(others: 1, at: leave + .milliseconds(step * 100)) }
        #expect(
            rates.words(at: leave) == "limited by otp.settings.sends_per_second: 10 of 40 a second are this worker's")
        _ = rates.next(after: leave + .seconds(1))
        #expect(
            rates.words(at: leave + .seconds(1))
                == "limited by otp.settings.sends_per_second: 20 of 40 a second are this worker's")
        rates.counted(others: 1, at: leave + .seconds(2))
        rates.counted(others: 0, at: leave + .milliseconds(2500))
        _ = rates.next(after: leave + .milliseconds(3400))
        #expect(rates.words(at: leave + .milliseconds(3400))?.contains("20 of 40") == true)
        _ = rates.next(after: leave + .milliseconds(3500))
        #expect(rates.words(at: leave + .milliseconds(3500))?.contains("40 of 40") == true)
        // One that falls while an earlier fall still waits.
        rates.counted(others: 3, at: leave + .seconds(5))
        rates.counted(others: 1, at: leave + .seconds(6))
        rates.counted(others: 0, at: leave + .milliseconds(6900))
        _ = rates.next(after: leave + .milliseconds(7800))
        #expect(rates.words(at: leave + .milliseconds(7800))?.contains("10 of 40") == true)
        _ = rates.next(after: leave + .milliseconds(7900))
        #expect(rates.words(at: leave + .milliseconds(7900))?.contains("40 of 40") == true)
    }

    @Test("another rate counts at once, with no burst for the change; none is none")
    func anotherRate() {
        var rates = rates(40)
        _ = sent(&rates, from: start + .seconds(1), to: start + .seconds(2))
        let then = start + .seconds(2)
        for step in 0..<Int64(100) {
            rates.read(total: step % 2 == 0 ? 39 : 40, senders: [:], inUse: ["A"], at: then + .milliseconds(step))
        }
        #expect(sent(&rates, from: then + .milliseconds(100), to: then + .milliseconds(1100)) <= 40 + 4)
        rates.read(total: 4, senders: [:], inUse: ["A"], at: then + .seconds(2))
        #expect(sent(&rates, from: then + .seconds(2), to: then + .seconds(12)) <= 41)
        rates.read(total: nil, senders: [:], inUse: ["A"], at: then + .seconds(12))
        #expect(rates.isEmpty && rates.next(after: then + .seconds(12)) == then + .seconds(12))
    }

    /// Workers that come, go, are killed and are late to hear, in simulated time: in no stretch is more sent than the rate
    /// and the bursts allow, and with somebody there the rate is used.
    @Test("the sum stays within the rate whatever the workers do", arguments: 1...30 as ClosedRange<UInt64>)
    func sum(seed: UInt64) {
        struct Running {
            var rates: SharedRates
            /// What it has been told to hear of, and when.
            var news: [(at: Instant, others: Int)] = []
        }
        var random = SeededGenerator(seed)
        let rate = [5.0, 40, 300][Int(seed % 3)]
        var workers: [Int: Running] = [:]
        var sent: [Instant] = []
        var stable = start
        var now = start
        for step in 0..<20_000 {
            now = now + .milliseconds(2)
            if step % 1500 == 0 {
                if workers.isEmpty || random.next() % 2 == 0 {
                    var joining = Running(rates: SharedRates(now: now))
                    joining.rates.read(total: rate, senders: [:], inUse: ["A"], at: now)
                    workers[step] = joining
                } else if let leaver = workers.keys.sorted().first {
                    workers[leaver] = nil
                }
                // Everybody hears within a second.
                let others = workers.count - 1
                for key in workers.keys.sorted() {
                    let delay = Instant.Duration.milliseconds(Int64(random.next() % 990))
                    workers[key]?.news.append((now + delay, others))
                }
                stable = now + .milliseconds(2990)
            }
            for key in workers.keys.sorted() {
                while let news = workers[key]?.news.first, news.at <= now {
                    workers[key]?.rates.counted(others: news.others, at: now)
                    workers[key]?.news.removeFirst()
                }
                while let next = workers[key]?.rates.next(after: now), next <= now {
                    workers[key]?.rates.sent(from: "A", at: now)
                    sent.append(now)
                }
            }
            if now == stable, !workers.isEmpty {
                let span = 0.9
                let recent = sent.count { $0 > now - .seconds(1) }
                #expect(Double(recent) >= rate * span - Double(workers.count) - 1)
            }
        }
        // Each worker's burst is a tenth of its share, at least one; at most 14 workers ever join.
        var first = 0
        for last in sent.indices {
            while sent[last] - sent[first] >= .seconds(1) { first += 1 }
            let most = rate * 1.0 + max(rate * 0.1, 14) + 2
            #expect(Double(last - first + 1) <= most)
        }
        #expect(sent.count > Int(rate) * 10)
    }
}

@Suite("Shared rates: of a sender")
struct SenderRateTests {
    private func rates(
        _ senders: [String: Double], total: Double? = nil, inUse: Set<String> = ["A", "B"], others: Int = 0
    ) -> SharedRates {
        var rates = SharedRates(now: start - .seconds(2))
        rates.read(total: total, senders: senders, inUse: inUse, at: start - .seconds(2))
        rates.counted(others: others, at: start - .seconds(2))
        return rates
    }

    @Test("a job goes, is rateLimited until its token comes soon, or goes back for longer; other senders pass")
    func turns() {
        var rates = rates(["A": 8])
        let turns = (0..<5).map { _ in
            let turn = rates.turn(of: "A", at: start)
            if turn == .now { rates.sent(from: "A", at: start) }
            return turn
        }
        #expect(turns[..<3] == [.now, .soon, .soon])
        for turn in turns[3...] {
            guard case .later(let span) = turn else {
                Issue.record("\(turn)")
                continue
            }
            #expect(span > .seconds(0) && span <= .milliseconds(500))
        }
        #expect(rates.rateLimited == 2)
        #expect(rates.turn(of: "B", at: start) == .now)
        #expect(rates.mayRelease("A", at: start + .milliseconds(124)) == false)
        let due = rates.nextRelease(after: start)
        #expect(due.map { $0 - start <= .milliseconds(126) } == true)
        #expect(rates.mayRelease("A", at: due!) == true)
        rates.released("A")
        rates.sent(from: "A", at: due!)
        #expect(rates.rateLimited == 1 && rates.mayRelease("A", at: due!) == false)
    }

    @Test("a job that comes while others are rate-limited does not overtake them")
    func noOvertaking() {
        var rates = rates(["A": 8])
        if rates.turn(of: "A", at: start) == .now { rates.sent(from: "A", at: start) }
        #expect(rates.turn(of: "A", at: start) == .soon)
        // The token is there now, and the rate-limited job's.
        #expect(rates.turn(of: "A", at: start + .milliseconds(130)) != .now)
    }

    @Test(
        "a backlog is given back once and not in a lump: each job has a token when it comes back",
        arguments: [0.5, 2, 30])
    func backlog(rate: Double) {
        var rates = rates(["A": rate], others: 0)
        var queue: [(due: Instant, returns: Int)] = (0..<100).map { _ in (start, 0) }
        var (sentAt, most, now) = ([Instant](), 0, start)
        var rateLimited: [Int] = []
        while sentAt.count < 100, now - start < .seconds(600) {
            while let next = rateLimited.first, rates.mayRelease("A", at: now) {
                rates.released("A")
                rates.sent(from: "A", at: now)
                sentAt.append(now)
                most = max(most, next)
                rateLimited.removeFirst()
            }
            for index in queue.indices.reversed() where queue[index].due <= now {
                switch rates.turn(of: "A", at: now) {
                case .now:
                    rates.sent(from: "A", at: now)
                    sentAt.append(now)
                    most = max(most, queue[index].returns)
                    queue.remove(at: index)
                case .soon:
                    rateLimited.append(queue[index].returns)
                    queue.remove(at: index)
                case .later(let span):
                    // The database writes it a little later, and the claim finds it a little later.
                    queue[index] = (now + span + .milliseconds(50), queue[index].returns + 1)
                }
            }
            now = now + .milliseconds(5)
        }
        #expect(sentAt.count == 100)
        #expect(most <= 2, "no job is given back again and again")
        let span = (sentAt.last! - start).seconds
        #expect(span >= 96 / rate && span <= 100 / rate * 1.1 + 1)
    }

    @Test("when every sender has a rate, the rates bound the claims; otherwise they do not")
    func claims() {
        var limited = rates(["A": 8, "B": 4])
        #expect(limited.within(.milliseconds(250), of: start) == 3 + 2)
        _ = limited.turn(of: "A", at: start)
        limited.sent(from: "A", at: start)
        #expect(limited.turn(of: "A", at: start) == .soon)
        #expect(
            limited.within(.milliseconds(250), of: start) == 2 + 2 - 1, "what is rateLimited has its tokens already")
        var mixed = rates(["A": 8])
        #expect(mixed.within(.milliseconds(250), of: start) == .max)
        var one = rates(["A": 2], inUse: ["A"])
        _ = one.turn(of: "A", at: start)
        one.sent(from: "A", at: start)
        #expect(one.within(.milliseconds(250), of: start) == 0)
        #expect(one.nextClaim(after: start).map { $0 > start && $0 - start <= .milliseconds(501) } == true)
    }

    @Test("a sender's rate is divided among workers like the total")
    func divided() {
        var rates = rates(["A": 40], others: 3)
        var (now, count) = (start, 0)
        while now < start + .seconds(10) {
            if rates.turn(of: "A", at: now) == .now {
                rates.sent(from: "A", at: now)
                count += 1
            } else if rates.rateLimited > 0 {
                if rates.mayRelease("A", at: now) {
                    rates.released("A")
                    rates.sent(from: "A", at: now)
                    count += 1
                }
            }
            now = now + .milliseconds(1)
        }
        #expect((99...102).contains(count))
    }

    @Test("a removed rate lets rate-limited jobs go")
    func removed() {
        var rates = rates(["A": 8])
        for _ in 0..<3 where rates.turn(of: "A", at: start) == .now { rates.sent(from: "A", at: start) }
        #expect(rates.rateLimited == 2)
        rates.read(total: nil, senders: [:], inUse: ["A"], at: start)
        #expect(rates.mayRelease("A", at: start) == true)
        for _ in 0..<2 { rates.released("A") }
        #expect(rates.rateLimited == 0)
        #expect(rates.turn(of: "A", at: start) == .now)
    }

    @Test("turns are given out again at a new rate, and when no job took them")
    func tail() {
        var rates = rates(["A": 1])
        for _ in 0..<100 where rates.turn(of: "A", at: start) == .now { rates.sent(from: "A", at: start) }
        guard case .later(let far) = rates.turn(of: "A", at: start) else { return #expect(Bool(false)) }
        #expect(far > .seconds(90))
        var raised = rates
        raised.read(total: nil, senders: ["A": 10], inUse: ["A", "B"], at: start)
        while raised.turn(of: "A", at: start) == .soon {}
        guard case .later(let near) = raised.turn(of: "A", at: start) else { return #expect(Bool(false)) }
        #expect(near < .seconds(1))
        let later = start + .seconds(20)
        if rates.turn(of: "A", at: later) == .now { rates.sent(from: "A", at: later) }
        _ = rates.turn(of: "A", at: later)
        guard case .later(let stillFar) = rates.turn(of: "A", at: later) else { return #expect(Bool(false)) }
        #expect(stillFar > .seconds(60), "somebody has just come: they come for what was given away")
        let idle = start + .seconds(60)
        guard case .now = rates.turn(of: "A", at: idle) else { return #expect(Bool(false)) }
    }

    @Test("the words of the status row")
    func words() {
        #expect(
            rates(["B": 2, "A": 0.5], total: 40, others: 1).words(at: start)
                == "limited by otp.settings.sends_per_second: 20 of 40 a second are this worker's; "
                + "by otp.sender_rates: A 0.25 of 0.5, B 1 of 2 a second")
        #expect(
            SharedRateTests().joining.words(at: start)
                == "waiting for its share of the rates in otp.settings and otp.sender_rates")
        let many = rates(["A": 1, "B": 1, "C": 1, "D": 1, "E": 1])
        #expect(many.words(at: start)?.contains("C 1 of 1, and 2 more") == true)
    }
}

extension SharedRateTests {
    fileprivate var joining: SharedRates {
        var rates = SharedRates(now: start)
        rates.read(total: 40, senders: [:], inUse: ["A"], at: start)
        return rates
    }
}

@Suite("Shared rates in the dispatch machine")
struct SharedRateDispatchTests {
    private func machine(total: Double? = nil, senders: [String: Double] = [:], inUse: Set<String> = ["A", "B"])
        -> DispatchMachine
    {
        var machine = DispatchMachine(maxInFlight: 64, ratePerSecond: nil, now: start - .seconds(2))
        machine.database.canClaim = true
        machine.database.canRecord = true
        machine.schedule.isListening = true
        machine.rates.read(total: total, senders: senders, inUse: inUse, at: start - .seconds(2))
        machine.rates.counted(others: 0, at: start - .seconds(2))
        return machine
    }

    private func claim(_ count: Int, _ machine: inout DispatchMachine, at now: Instant = start) {
        machine.claimBegan(at: now)
        _ = machine.claimEnded(count: count, limit: count, oldestAge: .seconds(0), at: now, jitter: 0)
    }

    @Test("a total bounds claims and sends, and a timer waits for its token")
    func total() {
        var machine = machine(total: 20)
        guard case .claim(let limit, _) = machine.decide(at: start) else { return #expect(Bool(false)) }
        #expect(limit == 2 + 5)
        claim(limit, &machine)
        var sent = 0
        while machine.mayHandOver(at: start) {
            machine.handedOver(from: "A", at: start)
            sent += 1
        }
        #expect(sent == 2)
        let next = machine.nextToken(after: start)
        #expect(next.map { $0 > start && $0 - start <= .milliseconds(51) } == true)
    }

    @Test("jobs that are rate-limited hold up neither the claims nor the sends of others")
    func rateLimited() {
        var machine = machine(senders: ["A": 8])
        claim(16, &machine)
        var (sent, given) = (0, 0)
        for _ in 0..<15 {
            switch machine.turn(of: "A", at: start) {
            case .now:
                machine.handedOver(from: "A", at: start)
                sent += 1
            case .soon: break
            case .later:
                _ = machine.dropped(at: start)
                given += 1
            }
        }
        #expect(sent == 1 && given == 12 && machine.waiting == 1 && machine.rates.rateLimited == 2)
        #expect(machine.mayHandOver(at: start) == true, "the last one is B's")
        machine.handedOver(from: "B", at: start)
        guard case .claim(let limit, _) = machine.decide(at: start) else { return #expect(Bool(false)) }
        #expect(limit >= 14)
        let next = machine.nextToken(after: start)
        #expect(next.map { $0 > start && $0 - start <= .milliseconds(126) } == true)
        machine.released("A")
        machine.handedOver(from: "A", at: next!)
        #expect(machine.rates.rateLimited == 1 && machine.waiting == 0 && machine.inFlight == 3)
    }

    @Test("a drain waits for rate-limited jobs")
    func drain() {
        var machine = machine(senders: ["A": 8])
        claim(2, &machine)
        for _ in 0..<2 where machine.turn(of: "A", at: start) == .now { machine.handedOver(from: "A", at: start) }
        machine.sendEnded(at: start)
        machine.drain()
        #expect(machine.decide(at: start) == .wait(until: nil))
        machine.released("A")
        _ = machine.dropped(at: start)
        #expect(machine.decide(at: start) == .finished)
    }

    @Test("where there is no token for long, it waits and does not spin")
    func noSpin() {
        var machine = machine(senders: ["A": 0.1], inUse: ["A"])
        #expect(machine.decide(at: start) == .claim(limit: 1, .oldestFirst))
        claim(1, &machine)
        #expect(machine.turn(of: "A", at: start) == .now)
        machine.handedOver(from: "A", at: start)
        machine.sendEnded(at: start)
        machine.schedule.wake(at: start)
        guard case .wait(let until?) = machine.decide(at: start + .milliseconds(100)) else {
            return #expect(Bool(false))
        }
        #expect(until - start > .seconds(9))
    }

    @Test("after a pause of its own a worker waits for its share again; a probe does not")
    func afterAPause() {
        var machine = machine(total: 20, senders: ["A": 1])
        _ = machine.paused(.init(words: "w", remedy: "r"), at: start)
        let probe = start + .seconds(5)
        machine.rates.joins(at: probe)
        guard case .claim(1, _) = machine.decide(at: probe) else { return #expect(Bool(false)) }
        claim(1, &machine, at: probe)
        #expect(machine.mayHandOver(at: probe) && machine.turn(of: "A", at: probe) == .now)
        machine.handedOver(from: "A", at: probe)
        machine.sendEnded(at: probe)
        _ = machine.reachedTwilio(at: probe)
        guard case .wait(let until?) = machine.decide(at: probe + .milliseconds(10)) else {
            return #expect(Bool(false))
        }
        #expect(until == probe + .seconds(1))
    }
}
