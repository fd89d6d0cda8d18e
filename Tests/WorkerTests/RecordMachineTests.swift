import EventLoop
import Postgres
import Testing

@testable import Worker

@Suite("Recording results: halve, set aside, try again")
struct RecordMachineTests {
    struct Batch: ResultBatch, Equatable {
        var jobs: [Int64]
        var hasPlaces = true
        init(_ jobs: Int64...) { self.jobs = jobs }
        init(jobs: [Int64]) { self.jobs = jobs }
        var count: Int { jobs.count }
        func halves() -> (Batch, Batch) {
            (Batch(jobs: Array(jobs.prefix(count / 2))), Batch(jobs: Array(jobs.dropFirst(count / 2))))
        }
        func separated(_ wanted: Set<Int64>) -> (of: Batch, others: Batch) {
            (Batch(jobs: jobs.filter(wanted.contains)), Batch(jobs: jobs.filter { !wanted.contains($0) }))
        }
        mutating func forgetPlaces() { hasPlaces = false }
    }

    typealias Machine = RecordMachine<Batch>
    private let start = Instant(nanoseconds: 1_000_000_000)

    /// What the machine wants, in words.
    private func next(_ machine: inout Machine, haveGathered: Bool = false, at now: Instant) -> String {
        switch machine.next(haveGathered: haveGathered, at: now) {
        case .gather: "gather"
        case .write(let batch): "write \(batch.jobs)"
        case .findLocked(let jobs): "find locked \(jobs)"
        case .wait(nil): "wait"
        case .wait(let until?): "wait \((until - start).nanoseconds / 1_000_000) ms"
        }
    }

    private func machine(writing batch: Batch) -> Machine {
        var machine = Machine()
        machine.take([batch], at: start)
        _ = machine.next(haveGathered: false, at: start)
        return machine
    }

    @Test func onAnotherServerNoRowIsWhereItWas() {
        var machine = Machine()
        machine.take([Batch(1), Batch(2)], at: start)
        guard case .write = machine.next(haveGathered: false, at: start) else {
            Issue.record("nothing to write")
            return
        }
        machine.forgetPlaces()
        #expect(machine.rest?.hasPlaces == false)
        machine.wrote()
        guard case .write(let second) = machine.next(haveGathered: false, at: start) else {
            Issue.record("nothing to write")
            return
        }
        #expect(!second.hasPlaces)
    }

    @Test(
        "which failure an error is",
        arguments: [
            ("55P03", RecordFailure.locked), ("40P01", .conflict), ("40001", .conflict), ("53100", .serverTrouble),
            ("57P03", .serverTrouble), ("58030", .serverTrouble), ("25006", .serverTrouble), ("57014", .refused),
            ("23505", .refused), ("22003", .refused), ("XX000", .refused), ("P0001", .refused), ("42501", .refused),
            ("OT007", .refused), ("", .refused),
            // A table without a replica identity, and a transaction that the server ended: of every row, not of one.
            ("55000", .serverTrouble), ("25P04", .serverTrouble), ("40003", .conflict),
        ])
    func failures(sqlstate: String, failure: RecordFailure) {
        #expect(RecordFailure(ServerError(severity: "ERROR", sqlstate: sqlstate, message: "").kind) == failure)
    }

    @Test(
        "what follows the first, second and third failure of a new batch of two",
        arguments: [
            (RecordFailure.noConnection, [Machine.Answer.again(after: .milliseconds(100))] + again(100, 2)),
            (.interrupted, again(100, 2) + [.halved]),
            (.conflict, again(0, 2) + [.halved]),
            (.serverTrouble, again(1000, 2) + [.halved]),
            (.refused, [.halved]),
            (.locked, [.findLocked([1, 2]), .findLocked([1, 2])]),
        ])
    func answers(failure: RecordFailure, answers: [Machine.Answer]) {
        var machine = machine(writing: Batch(1, 2))
        for answer in answers { #expect(machine.failed(failure, at: start) == answer) }
        #expect(machine.count == 2, "nothing is forgotten")
        #expect(machine.jobs.sorted() == [1, 2])
    }

    private static func again(_ milliseconds: Int64, _ count: Int) -> [Machine.Answer] {
        Array(repeating: .again(after: .milliseconds(milliseconds)), count: count)
    }

    @Test("one refused result of eight: the others are written, in seven statements")
    func halves() {
        var machine = Machine()
        machine.take([Batch(1, 2, 3, 4, 5, 6, 7, 8)], at: start)
        var written: [Int64] = []
        var statements = 0
        loop: while true {
            switch machine.next(haveGathered: false, at: start) {
            case .write(let batch):
                statements += 1
                if batch.jobs.contains(6) {
                    _ = machine.failed(.refused, at: start)
                } else {
                    machine.wrote()
                    written += batch.jobs
                }
            case .gather, .findLocked, .wait: break loop
            }
        }
        #expect(written.sorted() == [1, 2, 3, 4, 5, 7, 8])
        #expect(statements == 7)
        #expect(machine.setAside == 1)
        #expect(machine.jobs == [6])
    }

    @Test("new results go between two tries of results that were set aside")
    func takesTurns() {
        var machine = machine(writing: Batch(1, 2))
        _ = machine.failed(.refused, at: start)
        #expect(next(&machine, haveGathered: true, at: start) == "write [1]")
        _ = machine.failed(.refused, at: start)
        #expect(next(&machine, haveGathered: true, at: start) == "gather")
        machine.take([Batch(3), Batch(4)], at: start)
        #expect(next(&machine, at: start) == "write [3]")
        machine.wrote()
        #expect(next(&machine, at: start) == "write [2]")
        machine.wrote()
        #expect(next(&machine, at: start) == "write [4]")
        machine.wrote()
        #expect(next(&machine, at: start) == "wait 250 ms")
    }

    @Test(
        "a single result is tried again after waits that double, up to a limit",
        arguments: [
            (RecordFailure.refused, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]),
            (.serverTrouble, [250, 500, 1000]), (.interrupted, [250, 500]), (.conflict, [250, 500]),
        ])
    func backsOff(failure: RecordFailure, waits: [Int64]) {
        var machine = machine(writing: Batch(1))
        var now = start
        while case .again = machine.failed(failure, at: now) {}
        for wait in waits {
            guard case .wait(let until?) = machine.next(haveGathered: false, at: now) else {
                Issue.record("it does not wait")
                return
            }
            #expect(until - now == .milliseconds(wait))
            now = until
            #expect(next(&machine, at: now) == "write [1]")
            #expect(machine.failed(failure, at: now) == .setAside)
        }
    }

    @Test("locked rows are set aside at once, the rest is written; locks are asked for together")
    func locks() {
        var machine = machine(writing: Batch(1, 2, 3, 4))
        #expect(machine.failed(.locked, at: start) == .findLocked([1, 2, 3, 4]))
        #expect(machine.separate(locked: [2, 3, 99], at: start) == 2)
        #expect(machine.rest == Batch(1, 4))
        machine.wrote()
        #expect(machine.count == 2)
        var now = start + .milliseconds(250)
        #expect(next(&machine, at: now) == "find locked [2, 3]")
        machine.found(locked: [3], at: now)
        #expect(next(&machine, at: now) == "write [2]")
        machine.wrote()
        #expect(next(&machine, at: now) == "wait 750 ms")
        for wait in [1000, 2000, 2000] as [Int64] {
            guard case .wait(let until?) = machine.next(haveGathered: false, at: now) else { return }
            now = until
            #expect(next(&machine, at: now) == "find locked [3]")
            machine.found(locked: [3], at: now)
            #expect(next(&machine, at: now) == "wait \((now - start).nanoseconds / 1_000_000 + wait) ms")
        }
    }

    @Test("a lock that is not on a job's row is found by halving")
    func otherLocks() {
        var machine = machine(writing: Batch(1, 2))
        _ = machine.failed(.locked, at: start)
        #expect(machine.separate(locked: [], at: start) == 0)
        #expect(machine.rest == Batch(1, 2))
        #expect(machine.failed(.locked, at: start) == .halved)
        #expect(next(&machine, at: start) == "write [1]")
        #expect(machine.failed(.locked, at: start) == .setAside)
        #expect(next(&machine, at: start) == "write [2]")
        machine.wrote()
        #expect(next(&machine, at: start) == "wait 250 ms")
    }

    @Test("all rows of a batch are locked: nothing is left to write now")
    func allLocked() {
        var machine = machine(writing: Batch(1, 2))
        _ = machine.failed(.locked, at: start)
        #expect(machine.separate(locked: [1, 2], at: start) == 2)
        #expect(machine.rest == nil)
        #expect(machine.jobs.sorted() == [1, 2])
    }

    @Test("a result that is refused for an hour is given up and logged; a lock and a full disk are waited for")
    func givesUp() {
        for (failure, isGivenUp) in [(RecordFailure.refused, true), (.serverTrouble, false), (.locked, false)] {
            var machine = machine(writing: Batch(1))
            while case .again = machine.failed(failure, at: start) {}
            if failure == .locked { _ = machine.separate(locked: [1], at: start) }
            let early = machine.givenUp(at: start + .seconds(3599))
            #expect(early.isEmpty)
            let late = machine.givenUp(at: start + .seconds(3600))
            #expect(late == (isGivenUp ? [Batch(1)] : []), "\(failure)")
            #expect(machine.count == (isGivenUp ? 0 : 1))
        }
    }

    @Test("a drain tries everything at once, and then every half second")
    func drains() {
        var machine = machine(writing: Batch(1))
        var now = start
        for _ in 0..<6 {
            _ = machine.failed(.refused, at: now)
            now = now + .seconds(60)
            _ = machine.next(haveGathered: false, at: now)
        }
        _ = machine.failed(.refused, at: now)
        machine.drain(at: now)
        #expect(next(&machine, at: now) == "write [1]")
        _ = machine.failed(.refused, at: now)
        guard case .wait(let until?) = machine.next(haveGathered: false, at: now) else { return }
        #expect(until - now == .milliseconds(500))
    }
}
