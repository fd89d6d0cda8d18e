import EventLoop
import OTP
import Queue
import TestSupport
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)

private func sid(_ number: Int) -> MessageSID {
    let digits = String(number, radix: 16)
    return MessageSID("SM" + String(repeating: "0", count: 32 - digits.count) + digits)!
}

private func message(_ job: Int64, attempt: Int32 = 1, requestedAt: Int64 = 7) -> AcceptedMessage {
    AcceptedMessage(
        job: job, attempt: attempt, verification: job + 1, requestedAt: requestedAt, sid: sid(Int(job)), status: .sent,
        sender: nil)
}

@Suite("What a process remembers of its hand-overs")
struct HandedOverTests {
    /// What happened to job 1, and what its next claim is told then.
    enum Happened {
        case nothing
        case underWay
        case notSent
        case accepted
        case unknown
        /// An unknown outcome, found to be absent, sent again, and under way.
        case sentAgain
        /// The same, and refused.
        case refusedAgain
    }

    @Test(
        "by what happened, the number of the claim, the seconds since, and whether the database has it as resolved",
        arguments: [
            ("never handed over", Happened.nothing, 1, 0, false, HandedOver.Finding.free),
            ("under way, the same number", .underWay, 1, 1, false, .unknown(age: .seconds(0))),
            ("under way, a later number", .underWay, 2, 1, true, .unknown(age: .seconds(0))),
            ("surely not sent", .notSent, 2, 1, false, .free),
            ("surely not sent, claim forgotten", .notSent, 1, 1, false, .free),
            ("accepted, ending forgotten", .accepted, 2, 1, true, .accepted(sid(1), attempt: 1)),
            ("accepted, claim forgotten", .accepted, 1, 1, true, .accepted(sid(1), attempt: 1)),
            ("accepted, nine minutes ago", .accepted, 5, 540, true, .accepted(sid(1), attempt: 1)),
            ("unknown, claim forgotten", .unknown, 1, 1, false, .unknown(age: .seconds(1))),
            ("unknown, claim forgotten, a minute ago", .unknown, 1, 60, false, .unknown(age: .seconds(60))),
            ("unknown, and nobody has looked for it", .unknown, 2, 59, false, .unknown(age: .seconds(59))),
            ("unknown, and the reconciler did not find it", .unknown, 2, 5, true, .free),
            ("unknown, the reconciler did not find the one before", .unknown, 1, 5, true, .unknown(age: .seconds(5))),
            ("sent again, and under way", .sentAgain, 3, 100, true, .unknown(age: .seconds(0))),
            ("sent again, and refused", .refusedAgain, 3, 100, true, .free),
            ("accepted, longer ago than any code lives", .accepted, 2, 601, true, .unknown(age: .seconds(0))),
        ])
    func finding(
        _ name: String, _ happened: Happened, _ attempt: Int32, _ seconds: Int64, _ isResolved: Bool,
        _ expected: HandedOver.Finding
    ) {
        var memory = HandedOver()
        if happened != .nothing { memory.began(1, at: start) }
        func unknown() { memory.isUnknown(job: 1, attempt: 1, verification: 2, requestedAt: 7, at: start) }
        switch happened {
        case .nothing, .underWay: break
        case .notSent: memory.wasNotSent(1)
        case .accepted: memory.wasAccepted(message(1), at: start)
        case .unknown: unknown()
        case .sentAgain:
            unknown()
            memory.began(1, at: start)
        case .refusedAgain:
            unknown()
            memory.began(1, at: start)
            memory.wasNotSent(1)
        }
        let found = memory.finding(
            job: 1, attempt: attempt, requestedAt: 7, isResolved: isResolved, at: start + .seconds(seconds))
        #expect(found == expected, "\(name)")
        // Its neighbours are free, and so is another request that got the id again.
        #expect(memory.finding(job: 2, attempt: attempt, requestedAt: 7, isResolved: false, at: start) == .free)
        if happened == .accepted || happened == .unknown, seconds < 600 {
            #expect(
                memory.finding(
                    job: 1, attempt: 1, requestedAt: 8, isResolved: false, at: start + .seconds(seconds)) == .free)
        }
    }

    @Test("a SID stays known when the outcome of a later attempt is unknown")
    func aSIDStaysKnown() {
        var memory = HandedOver()
        memory.began(1, at: start)
        memory.wasAccepted(message(1), at: start)
        memory.isUnknown(job: 1, attempt: 2, verification: 2, requestedAt: 7, at: start)
        #expect(
            memory.finding(job: 1, attempt: 3, requestedAt: 7, isResolved: true, at: start)
                == .accepted(sid(1), attempt: 1))
    }

    @Test("accepted messages come newest first, in batches, for ten minutes")
    func batches() {
        var memory = HandedOver()
        for job in 1...10 { memory.wasAccepted(message(Int64(job)), at: start + .seconds(Int64(job))) }
        func all(at now: Instant, limit: Int = 4) -> [[Int64]] {
            var (batches, position): ([[Int64]], Int?) = ([], nil)
            repeat {
                let batch = memory.acceptedMessages(before: position, limit: limit, at: now)
                position = batch.next
                batches.append(batch.messages.map(\.job))
            } while position != nil
            return batches
        }
        #expect(all(at: start + .seconds(10)) == [[10, 9, 8, 7], [6, 5, 4, 3], [2, 1]])
        #expect(all(at: start + .seconds(10), limit: 5) == [[10, 9, 8, 7, 6], [5, 4, 3, 2, 1], []])
        #expect(all(at: start + .seconds(608)) == [[10, 9, 8]])
        #expect(all(at: start + .seconds(611)) == [[]])
        let first = memory.acceptedMessages(before: nil, limit: 1, at: start + .seconds(10)).messages.first
        #expect(first?.sid == sid(10) && first?.verification == 11 && first?.requestedAt == 7 && first?.place == nil)
    }

    @Test("of more messages than it holds it keeps the newest SIDs, and of the others that they may be at Twilio")
    func moreThanItHolds() {
        var memory = HandedOver()
        let all = Int64(HandedOver.mostAccepted + 100)
        for job in 1...all {
            memory.began(job, at: start)
            memory.wasAccepted(message(job), at: start)
        }
        func finding(_ job: Int64) -> HandedOver.Finding {
            memory.finding(job: job, attempt: 2, requestedAt: 7, isResolved: false, at: start + .seconds(90))
        }
        #expect(finding(100) == .unknown(age: .seconds(0)))
        #expect(finding(101) == .accepted(sid(101), attempt: 1))
        #expect(finding(all) == .accepted(sid(Int(all)), attempt: 1))
        let batch = memory.acceptedMessages(before: nil, limit: .max, at: start)
        #expect(batch.messages.count == HandedOver.mostAccepted && batch.next == nil)
    }

    @Test("of more unknown outcomes than it holds, the database decides about the oldest")
    func moreUnknownThanItHolds() {
        var memory = HandedOver()
        let all = Int64(HandedOver.mostUnknown + 1)
        for job in 1...all { memory.isUnknown(job: job, attempt: 1, verification: 2, requestedAt: 7, at: start) }
        #expect(memory.finding(job: 1, attempt: 1, requestedAt: 7, isResolved: false, at: start) == .free)
        #expect(
            memory.finding(job: 2, attempt: 1, requestedAt: 7, isResolved: false, at: start)
                == .unknown(age: .seconds(0)))
        #expect(memory.unknownAttempts(at: start).map(\.job) == Array(2...all))
        #expect(memory.unknownAttempts(at: start + .seconds(601)).isEmpty)
        // One that is sent again is no longer one of them.
        memory.began(5, at: start)
        #expect(!memory.unknownAttempts(at: start).contains { $0.job == 5 })
    }
}

@Suite("A set of jobs that forgets")
struct JobSetTests {
    @Test("it agrees with a plain set, whatever the order")
    func agrees() {
        var (jobs, plain) = (JobSet(span: .seconds(600)), Set<Int64>())
        var random = SeededGenerator(1)
        for _ in 1...20_000 {
            let id = Int64.random(in: 0..<30_000, using: &random)
            if Bool.random(using: &random) {
                #expect(jobs.insert(id, at: start) == !plain.insert(id).inserted)
            } else {
                jobs.remove(id)
                plain.remove(id)
            }
        }
        #expect((0..<30_000).allSatisfy { jobs.contains($0) == plain.contains($0) })
        #expect(!jobs.contains(.max) && !jobs.contains(1 << 40))
    }

    @Test("a page that nothing was added to for its time makes room for another, and no other page does")
    func forgets() {
        var jobs = JobSet(span: .seconds(600))
        _ = jobs.insert(1, at: start)
        _ = jobs.insert(5000, at: start + .seconds(1))
        _ = jobs.insert(2, at: start + .seconds(2))
        _ = jobs.insert(1 << 20, at: start + .seconds(602))
        #expect(jobs.contains(1) && jobs.contains(2) && !jobs.contains(5000) && jobs.contains(1 << 20))
    }

    @Test("it holds no more pages than it may: the one that was added to longest ago goes")
    func bounded() {
        var jobs = JobSet(span: .seconds(600))
        for page in 0...Int64(JobSet.mostPages) {
            _ = jobs.insert(page << 12, at: start + Instant.Duration(nanoseconds: page))
        }
        #expect(!jobs.contains(0))
        #expect((1...Int64(JobSet.mostPages)).allSatisfy { jobs.contains($0 << 12) })
    }
}
