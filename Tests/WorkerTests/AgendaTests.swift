import EventLoop
import Queue
import Testing

@testable import Worker

private let start = Instant(nanoseconds: 5_000_000_000)
private let idle = Instant.Duration.seconds(20)

@Suite("When the loops of an idle worker ask the database")
struct AgendaTests {
    @Test("unheard, each loop keeps its own cadence", arguments: Agenda.Errand.allCases)
    func unheard(_ errand: Agenda.Errand) {
        let agenda = Agenda()
        #expect(agenda.next(errand, since: start, atMost: idle) == start + idle)
        #expect(agenda.mayHaveDead)
    }

    @Test("with nothing to do, a loop waits for as long as it hears so", arguments: Agenda.Errand.allCases)
    func nothing(_ errand: Agenda.Errand) {
        var agenda = Agenda()
        for beat in 0..<60 {
            let now = start + .seconds(Int64(10 * beat))
            agenda.heard(.init(), at: now)
            #expect(agenda.next(errand, since: start, atMost: idle) > now + .seconds(10))
        }
        #expect(!agenda.mayHaveDead)
    }

    @Test("two heartbeats late, a loop asks by itself, and no more often than it would alone")
    func late() {
        var agenda = Agenda()
        agenda.heard(.init(), at: start)
        #expect(agenda.next(.sweep, since: start, atMost: idle) == start + Agenda.validity)
        let began = start + Agenda.validity
        agenda.began(.sweep, at: began)
        #expect(agenda.next(.sweep, since: began, atMost: idle) == began + idle)
    }

    @Test("each loop asks when its own finding is due, once")
    func due() {
        var agenda = Agenda()
        agenda.heard(.init(nextEnd: .seconds(3), nextLook: .seconds(4), nextPoll: .seconds(-60)), at: start)
        #expect(agenda.next(.sweep, since: start, atMost: idle) == start + .milliseconds(3050))
        #expect(agenda.next(.look, since: start, atMost: idle) == start + .milliseconds(4050))
        #expect(agenda.next(.poll, since: start, atMost: idle) == start)
        agenda.began(.poll, at: start)
        agenda.began(.look, at: start + .seconds(4))
        #expect(agenda.next(.poll, since: start, atMost: idle) == start + Agenda.validity)
        #expect(agenda.next(.look, since: start, atMost: idle) == start + .milliseconds(4050))
    }

    @Test("a dead worker is swept for at once, and only then marked")
    func dead() {
        var agenda = Agenda()
        agenda.heard(.init(nextEnd: .seconds(30), hasDeadWorker: true), at: start)
        #expect(agenda.mayHaveDead)
        #expect(agenda.next(.sweep, since: start, atMost: idle) == start)
        agenda.heard(.init(nextEnd: .seconds(20)), at: start + .seconds(10))
        #expect(!agenda.mayHaveDead)
        #expect(agenda.next(.sweep, since: start, atMost: idle) == start + .milliseconds(30_050))
    }

    @Test("where only sweeps can tell, they keep their cadence, however many heartbeats there are")
    func cadence() {
        var agenda = Agenda()
        for beat in 0..<4 {
            agenda.heard(.init(needsSweeps: true), at: start + .seconds(Int64(6 * beat)))
            #expect(agenda.next(.sweep, since: start, atMost: idle) == start + idle)
            #expect(agenda.next(.look, since: start, atMost: idle) > start + idle)
        }
        agenda.heard(.init(nextEnd: .seconds(1), needsSweeps: true), at: start)
        #expect(agenda.next(.sweep, since: start, atMost: idle) == start + .milliseconds(1050))
    }

    @Test("a busy worker's heartbeat finds nothing out: its loops keep their own cadence")
    func busy() {
        var agenda = Agenda()
        agenda.heard(.init(nextEnd: .seconds(1)), at: start)
        agenda.heard(nil, at: start)
        #expect(agenda.next(.sweep, since: start, atMost: idle) == start + idle)
        #expect(agenda.mayHaveDead)
    }
}
