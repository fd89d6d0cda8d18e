import EventLoop
import OTP
import Postgres
import Testing

@testable import Queue
@testable import Worker

/// A connection that begins and ends pauses.
struct PauseStandIn: PauseDatabase {
    let script: Script<String, TakeProbe.Taken>

    init(_ answers: [Result<TakeProbe.Taken, PostgresError>] = []) {
        script = Script(answers, then: TakeProbe.Taken(released: 0, next: nil))
    }

    var source: ConnectionSource<any PauseDatabase> { ConnectionSource { _ throws(PostgresError) in self } }

    func begin(_ pause: Pause, worker: Int64) async throws(PostgresError) {
        _ = try script.answer("begin \(pause.scope.name)")
    }

    func end(_ name: String) async throws(PostgresError) { _ = try script.answer("end \(name)") }

    func takeProbe() async throws(PostgresError) -> TakeProbe.Taken { try script.answer("probe") }
}

@Suite struct PauseBookTests {
    private static func pause(_ country: String) -> Pause {
        Pause(.country(Region(country)!), reason: "why", remedy: nil, isProbed: true)
    }

    @Test("a pause of everything halts the machine once, and its end resumes it")
    func halt() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            let all = Pause(.all, reason: "by hand", remedy: nil, isProbed: false)
            #expect(parts.pauses.read([all], nextProbe: nil), "what was claimed ahead goes back")
            #expect(!parts.pauses.read([all], nextProbe: nil))
            #expect(parts.core.machine.isHalted && parts.pauses.haltedAt != nil && parts.pauses.all == all)
            #expect(!parts.pauses.read([], nextProbe: nil))
            #expect(!parts.core.machine.isHalted && parts.pauses.haltedAt == nil)
            #expect(
                parts.log.messages == ["a pause has begun: its jobs wait", "a pause has ended: its jobs are due"])
        }
    }

    @Test("a pause that is not written yet holds all the same, whatever the database says")
    func unwritten() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            parts.pauses.begin(Self.pause("TR"))
            #expect(!parts.pauses.read([], nextProbe: nil))
            #expect(parts.pauses.pause(holding: .parts, of: job(1)) != nil)
            #expect(parts.pauses.hasToWrite(at: .now()))
        }
    }

    @Test("pauses are written in order; what is written is not written again")
    func writes() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            let database = PauseStandIn()
            parts.pauses.begin(Self.pause("TR"))
            parts.pauses.begin(Self.pause("SA"))
            parts.pauses.end("country SA")
            await parts.pauses.write(database.source, 1)
            #expect(database.script.calls == ["begin country TR", "end country SA"])
            #expect(!parts.pauses.hasToWrite(at: .now()) && parts.pauses.retryAt == nil)
        }
    }

    @Test("a pause that the database refuses holds up no other, and is tried again after a second")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            let database = PauseStandIn([.failure(.refused("23514"))])
            parts.pauses.begin(Self.pause("TR"))
            parts.pauses.begin(Self.pause("SA"))
            await parts.pauses.write(database.source, 1)
            #expect(database.script.calls == ["begin country TR", "begin country SA"])
            #expect(parts.pauses.areRefused && !parts.pauses.hasToWrite(at: .now()))
            #expect(parts.pauses.hasToWrite(at: .now() + .seconds(1)))
        }
    }

    @Test("without a connection the rest is not tried")
    func noConnection() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            let database = PauseStandIn([.failure(.connectionLost)])
            parts.pauses.begin(Self.pause("TR"))
            parts.pauses.begin(Self.pause("SA"))
            await parts.pauses.write(database.source, 1)
            #expect(database.script.calls == ["begin country TR"] && !parts.pauses.areRefused)
        }
    }

    @Test("a refusal for a country or a range of numbers demands a pause; one for the worker does not")
    func demanded() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            let why = FailureCause(code: 1, errorClass: nil, error: "why", remedy: "what to do")
            func scope(_ scope: Disposition.Scope) -> String? {
                parts.pauses.demanded(by: .pause(scope, why: why), for: job(1))?.scope.name
            }
            #expect(scope(.country) == "country TR" && scope(.prefix)?.hasPrefix("prefix +90532") == true)
            #expect(scope(.worker) == nil && scope(.sender) == nil)
        }
    }

    @Test("only a pause that is probed ends by a probe")
    func endsByProbe() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop)
            _ = parts.pauses.read(
                [Pause(.country(Region("TR")!), reason: "by hand", remedy: nil, isProbed: false)], nextProbe: nil)
            parts.pauses.end("country TR")
            #expect(parts.pauses.pause(holding: .parts, of: job(1)) != nil && !parts.pauses.hasToWrite(at: .now()))
        }
    }
}

@Suite struct ProberTests {
    @Test("jobs that a probe lets go are looked for at once")
    func probes() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = PauseStandIn([.success(.init(released: 1, next: .seconds(5)))])
            var prober = Prober(parts.core, parts.pauses, database.source)
            parts.core.machine.schedule.looked(at: .now())
            #expect(await prober.round() == .nextProbe)
            #expect(database.script.calls == ["probe"])
            #expect(parts.core.machine.schedule.next.map { $0 <= .now() } == true)
        }
    }

    @Test("a worker that does not send does not probe")
    func paused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = PauseStandIn()
            var prober = Prober(parts.core, parts.pauses, database.source)
            parts.core.machine.halt()
            #expect(await prober.round() == .retry)
            #expect(database.script.calls.isEmpty)
        }
    }

    @Test("a refusal of the database is logged once")
    func refused() async throws {
        try await onLoop { loop in
            let parts = Parts(on: loop).ready()
            let database = PauseStandIn([.failure(.refused("42501")), .failure(.refused("42501"))])
            var prober = Prober(parts.core, parts.pauses, database.source)
            for _ in 0..<2 { #expect(await prober.round() == .retry) }
            #expect(parts.log.messages == ["cannot probe pauses; trying again"])
        }
    }
}
