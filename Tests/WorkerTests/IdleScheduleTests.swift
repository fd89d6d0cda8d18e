import EventLoop
import Queue
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)
private let idle = Instant.Duration.seconds(20)

@Suite("When the loops of an idle worker ask the database")
struct IdleScheduleTests {
    @Test("unheard, each loop keeps its own cadence", arguments: MaintenanceTask.allCases)
    func unheard(_ task: MaintenanceTask) {
        let idleSchedule = IdleSchedule()
        #expect(idleSchedule.next(task, since: start, atMost: idle) == start + idle)
        #expect(idleSchedule.mayHaveDead)
    }

    @Test("with nothing to do, a loop waits for as long as it hears so", arguments: MaintenanceTask.allCases)
    func nothing(_ task: MaintenanceTask) {
        var idleSchedule = IdleSchedule()
        for beat in 0..<60 {
            let now = start + .seconds(Int64(10 * beat))
            idleSchedule.heard(.init(), at: now)
            #expect(idleSchedule.next(task, since: start, atMost: idle) > now + .seconds(10))
        }
        #expect(!idleSchedule.mayHaveDead)
    }

    @Test("two heartbeats late, a loop asks by itself, and no more often than it would alone")
    func late() {
        var idleSchedule = IdleSchedule()
        idleSchedule.heard(.init(), at: start)
        #expect(idleSchedule.next(.sweep, since: start, atMost: idle) == start + IdleSchedule.validity)
        let began = start + IdleSchedule.validity
        idleSchedule.began(.sweep, at: began)
        #expect(idleSchedule.next(.sweep, since: began, atMost: idle) == began + idle)
    }

    @Test("each loop asks when its own finding is due, once")
    func due() {
        var idleSchedule = IdleSchedule()
        idleSchedule.heard(.init(nextEnd: .seconds(3), nextLookup: .seconds(4), nextPoll: .seconds(-60)), at: start)
        #expect(idleSchedule.next(.sweep, since: start, atMost: idle) == start + .milliseconds(3050))
        #expect(idleSchedule.next(.lookUp, since: start, atMost: idle) == start + .milliseconds(4050))
        #expect(idleSchedule.next(.poll, since: start, atMost: idle) == start)
        idleSchedule.began(.poll, at: start)
        idleSchedule.began(.lookUp, at: start + .seconds(4))
        #expect(idleSchedule.next(.poll, since: start, atMost: idle) == start + IdleSchedule.validity)
        #expect(idleSchedule.next(.lookUp, since: start, atMost: idle) == start + .milliseconds(4050))
    }

    @Test("a dead worker is swept for at once, and only then marked")
    func dead() {
        var idleSchedule = IdleSchedule()
        idleSchedule.heard(.init(nextEnd: .seconds(30), hasDeadWorker: true), at: start)
        #expect(idleSchedule.mayHaveDead)
        #expect(idleSchedule.next(.sweep, since: start, atMost: idle) == start)
        idleSchedule.heard(.init(nextEnd: .seconds(20)), at: start + .seconds(10))
        #expect(!idleSchedule.mayHaveDead)
        #expect(idleSchedule.next(.sweep, since: start, atMost: idle) == start + .milliseconds(30_050))
    }

    @Test("where only sweeps can tell, they keep their cadence, however many heartbeats there are")
    func cadence() {
        var idleSchedule = IdleSchedule()
        for beat in 0..<4 {
            idleSchedule.heard(.init(needsSweeps: true), at: start + .seconds(Int64(6 * beat)))
            #expect(idleSchedule.next(.sweep, since: start, atMost: idle) == start + idle)
            #expect(idleSchedule.next(.lookUp, since: start, atMost: idle) > start + idle)
        }
        idleSchedule.heard(.init(nextEnd: .seconds(1), needsSweeps: true), at: start)
        #expect(idleSchedule.next(.sweep, since: start, atMost: idle) == start + .milliseconds(1050))
    }

    @Test("a busy worker's heartbeat finds nothing out: its loops keep their own cadence")
    func busy() {
        var idleSchedule = IdleSchedule()
        idleSchedule.heard(.init(nextEnd: .seconds(1)), at: start)
        idleSchedule.heard(nil, at: start)
        #expect(idleSchedule.next(.sweep, since: start, atMost: idle) == start + idle)
        #expect(idleSchedule.mayHaveDead)
    }
}
