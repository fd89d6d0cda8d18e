import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime

/// Pauses of everything, of a country, of a prefix: rows of `otp.pauses` that all workers share. It holds the pauses
/// that the database has, and those that this worker is about to write there. Confined to the loop.
final class PauseBook {
    /// How often it looks again while a probe is due and no job is held. A worker that holds a job signals; this is for
    /// workers that stopped before they could.
    static let idle = Instant.Duration.seconds(5)

    private let core: DispatchCore
    /// The pauses in force.
    private var pauses = Pauses()
    private var toBegin: [Pause] = []
    private var toEnd: [String] = []
    /// When a probe of a pause may be due.
    private var nextProbe: Instant?
    /// A probe may be due earlier than was thought.
    private let probes: Latch
    /// When pauses that could not be written are tried again; nil while there are none.
    private(set) var retryAt: Instant?
    /// The database refuses them: a draining worker does not wait for them.
    private(set) var areRefused = false
    /// Since when this worker knows that everything is paused.
    private(set) var haltedAt: Instant?
    private var errors = LogThrottle()

    init(_ core: DispatchCore) {
        self.core = core
        probes = Latch(on: core.loop)
    }

    /// The pause of everything.
    var all: Pause? { pauses.all }

    /// The pause that holds a number back, but for the one whose probe the job is.
    func pause(holding number: PhoneNumber, of job: ClaimedJob) -> Pause? {
        pauses.pause(holding: number, by: job.channel, of: job.country, butFor: job.probeOf)
    }

    /// The number of a job's recipient, unless a pause holds it.
    ///
    /// - Throws: `Unsendable` for a number that is not E.164, and for a job that a pause holds.
    func recipient(of job: ClaimedJob) throws(Unsendable) -> PhoneNumber {
        let number: PhoneNumber
        switch job.recipient {
        case .success(let recipient): number = recipient
        case .failure(let refusal):
            throw Unsendable(
                .failed, error: Sentence.whole(refusal.explanation), remedy: Sentence.whole(refusal.remedy),
                errorClass: "invalid_number")
        }
        if let pause = pause(holding: number, of: job) {
            throw Unsendable(
                .hold, error: "It waits: \(pause.message)", remedy: pause.endRemedy, holdKey: pause.scope.name)
        }
        return number
    }

    /// Takes over the pauses that the database has, and keeps those still to be written. Returns whether everything is
    /// paused from now on: jobs claimed ahead go back then.
    func read(_ rows: [Pause], nextProbe next: Instant.Duration?) -> Bool {
        let old = pauses
        pauses = Pauses(rows)
        for name in toEnd { pauses.remove(name) }
        for pause in toBegin where pauses[pause.scope.name] == nil { pauses.insert(pause) }
        for name in pauses.names.subtracting(old.names).sorted() {
            if let pause = pauses[name] { say(pause) }
        }
        for name in old.names.subtracting(pauses.names).sorted() { ended(name) }
        nextProbe = next.map { .now() + $0 }
        probes.signal()
        return halt(pauses.all != nil)
    }

    private func halt(_ isHalted: Bool) -> Bool {
        guard isHalted != core.machine.isHalted else { return false }
        let now = Instant.now()
        haltedAt = isHalted ? now : nil
        if isHalted { core.machine.halt() } else { core.machine.resume(at: now) }
        core.claimsMayGo.signal()
        core.statusChanged.signal()
        return isHalted
    }

    /// The shared pause that an answer for `job` demands, if it does.
    func demanded(by effect: Disposition.Effect?, for job: ClaimedJob) -> Pause? {
        guard case .pause(let scope, let why) = effect, case .success(let number) = job.recipient else { return nil }
        let held: PauseScope
        switch scope {
        case .worker, .sender: return nil
        case .channel: held = .channel(job.channel)
        case .country:
            guard let region = Region(job.country) else { return nil }
            held = .country(region)
        case .prefix: held = .prefix(NumberPrefix(blockOf: number))
        }
        return Pause(held, reason: Sentence.whole(why.error), remedy: Sentence.whole(why.remedy), isProbed: true)
    }

    /// Holds at once here, and everywhere as soon as it is written.
    func begin(_ pause: Pause) {
        guard pauses[pause.scope.name] == nil else { return }
        pauses.insert(pause)
        toBegin.append(pause)
        say(pause)
    }

    /// A probe was accepted.
    func end(_ name: String) {
        guard pauses[name]?.isProbed == true else { return }
        pauses.remove(name)
        toBegin.removeAll { $0.scope.name == name }
        toEnd.append(name)
        ended(name)
        core.hasResults.signal()
    }

    private func say(_ pause: Pause) {
        core.log.error(
            "a pause has begun: its jobs wait",
            metadata: [
                LogKeys.pause: "\(pause.scope.name)", LogKeys.reason: "\(pause.reason)",
                LogKeys.remedy: "\(pause.endRemedy)",
            ])
    }

    private func ended(_ name: String) {
        core.machine.partResumed(at: .now())
        core.claimsMayGo.signal()
        core.log.notice("a pause has ended: its jobs are due", metadata: [LogKeys.pause: "\(name)"])
    }

    // MARK: Writing

    /// Whether pauses are to be written now.
    func hasToWrite(at now: Instant) -> Bool { toBegin.count + toEnd.count > 0 && retryAt ?? now <= now }

    /// Writes pauses that begin, then those that end. Each is tried once: a pause that cannot be written holds up neither
    /// another pause nor the results of sends. Jobs that it would hold come back after a second.
    func write(_ records: ConnectionSource<any PauseDatabase>, _ worker: Int64) async {
        var isWritten = true
        for pause in toBegin where isWritten {
            let writing = await write(records) { database throws(PostgresError) in
                try await database.begin(pause, worker: worker)
            }
            switch writing {
            case .written: toBegin.removeAll { $0 == pause }
            case .refused: continue
            case .notAsked: isWritten = false
            }
        }
        for name in toEnd where isWritten {
            let writing = await write(records) { database throws(PostgresError) in try await database.end(name) }
            switch writing {
            case .written:
                toEnd.removeAll { $0 == name }
                core.jobsAreDue()
            case .refused: continue
            case .notAsked: isWritten = false
            }
        }
        let isDone = toBegin.isEmpty && toEnd.isEmpty
        areRefused = !isDone && isWritten
        retryAt = isDone ? nil : .now() + (isWritten ? .seconds(1) : .milliseconds(100))
    }

    private enum Writing { case written, refused, notAsked }

    private func write(
        _ records: ConnectionSource<any PauseDatabase>,
        _ body: (any PauseDatabase) async throws(PostgresError) -> Void
    ) async -> Writing {
        do {
            try await body(try await records.connection())
            return .written
        } catch {
            switch error {
            case .server:
                if let count = errors.count(at: .now()) {
                    core.log.error(
                        "cannot write a pause; trying again every second",
                        metadata: .of(error, [LogKeys.count: "\(count)"]))
                }
                return .refused
            case .lost, .deadline, .canceled, .connect, .settings, .unsuitable, .misuse: return .notAsked
            }
        }
    }

    // MARK: Probes

    /// A pause was given a job: a probe may be due for it.
    func isGivenJob() { probes.signal() }

    /// Until a probe may be due.
    func awaitProbe() async { await probes.wait(until: nextProbe) }

    /// Whether this worker could send a probe.
    var mayProbe: Bool {
        let machine = core.machine
        return machine.pause.reason == nil && !machine.isHalted && !machine.isDraining && machine.database.canClaim
            && machine.database.isHeard
    }

    /// The result of a search for due probes.
    func probed(_ taken: TakeProbe.Taken) {
        nextProbe = taken.next.map { .now() + ($0 > .seconds(0) ? $0 + .milliseconds(10) : Self.idle) }
        if taken.released > 0 { core.jobsAreDue() }
    }
}

/// What is asked of a connection about shared pauses.
protocol PauseDatabase: Sendable {
    func begin(_ pause: Pause, worker: Int64) async throws(PostgresError)
    func end(_ name: String) async throws(PostgresError)
    /// Lets one held job go where a probe is due.
    func takeProbe() async throws(PostgresError) -> TakeProbe.Taken
}

extension Connection: PauseDatabase {
    nonisolated func begin(_ pause: Pause, worker: Int64) async throws(PostgresError) {
        try await BeginPause.run(
            on: self, pause, firstProbe: PauseMachine.firstProbe, worker: worker, deadline: .now() + Times.statement)
    }

    nonisolated func end(_ name: String) async throws(PostgresError) {
        try await EndPause.run(on: self, name, deadline: .now() + Times.statement)
    }

    nonisolated func takeProbe() async throws(PostgresError) -> TakeProbe.Taken {
        try await TakeProbe.run(
            on: self, first: PauseMachine.firstProbe, longest: PauseMachine.longestWait,
            deadline: .now() + Times.statement)
    }
}
