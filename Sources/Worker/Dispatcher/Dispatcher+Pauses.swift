import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime

/// Pauses of everything, of a country, of a prefix: rows of `otp.pauses` that all workers share.
extension Dispatcher {
    /// The pauses as the database has them; what is still to be written is added.
    func pausesRead(_ rows: [Pause], nextProbe next: Instant.Duration?) {
        let old = pauses
        pauses = Pauses(rows)
        for name in pausesToEnd { pauses.remove(name) }
        for pause in pausesToBegin where pauses[pause.scope.name] == nil { pauses.insert(pause) }
        for name in pauses.names.subtracting(old.names).sorted() {
            if let pause = pauses[name] { say(pause) }
        }
        for name in old.names.subtracting(pauses.names).sorted() { ended(name) }
        nextProbe = next.map { .now() + $0 }
        probes.signal()
        halt(pauses.all != nil)
    }

    private func halt(_ isHalted: Bool) {
        guard isHalted != machine.isHalted else { return }
        let now = Instant.now()
        haltedAt = isHalted ? now : nil
        if isHalted {
            machine.halt()
            releaseWaiting()
        } else {
            machine.resume(at: now)
        }
        changed.signal()
        stateChanged()
    }

    /// The shared pause that an answer for `job` demands, if it does.
    func shared(_ effect: Disposition.Effect?, _ job: ClaimedJob) -> Pause? {
        guard case .pause(let scope, let why) = effect, case .success(let number) = job.recipient else { return nil }
        let held: PauseScope
        switch scope {
        case .worker, .sender: return nil
        case .country:
            guard let region = Region(job.country) else { return nil }
            held = .country(region)
        case .prefix: held = .prefix(NumberPrefix(blockOf: number))
        }
        return Pause(held, reason: Words.sentence(why.error), remedy: Words.sentence(why.remedy), isProbed: true)
    }

    /// Holds at once here, and everywhere as soon as it is written.
    func beginPause(_ pause: Pause) {
        guard pauses[pause.scope.name] == nil else { return }
        pauses.insert(pause)
        pausesToBegin.append(pause)
        say(pause)
    }

    /// A probe got through.
    func endPause(_ name: String) {
        guard pauses[name]?.isProbed == true else { return }
        pauses.remove(name)
        pausesToBegin.removeAll { $0.scope.name == name }
        pausesToEnd.append(name)
        ended(name)
        ends.signal()
    }

    private func say(_ pause: Pause) {
        log.error(
            "a pause has begun: its jobs wait",
            metadata: [
                LogKeys.pause: "\(pause.scope.name)", LogKeys.reason: "\(pause.reason)",
                LogKeys.remedy: "\(pause.endRemedy)",
            ])
    }

    private func ended(_ name: String) {
        machine.partResumed(at: .now())
        changed.signal()
        log.notice("a pause has ended: its jobs are due", metadata: [LogKeys.pause: "\(name)"])
    }

    /// Whether pauses are to be written now.
    func hasPausesToWrite(at now: Instant) -> Bool {
        pausesToBegin.count + pausesToEnd.count > 0 && pausesRetryAt ?? now <= now
    }

    /// Writes pauses that begin, then those that end. Each is tried once: a pause that cannot be written holds up neither
    /// another pause nor the results of sends. Jobs that it would hold come back after a second.
    func writePauses(_ records: Session, _ worker: Int64) async {
        var isWritten = true
        for pause in pausesToBegin where isWritten {
            let writing = await writePause(records) { connection throws(PostgresError) in
                try await BeginPause.run(
                    on: connection, pause, firstProbe: PauseMachine.firstProbe, worker: worker,
                    deadline: .now() + Times.statement)
            }
            switch writing {
            case .written: pausesToBegin.removeAll { $0 == pause }
            case .refused: continue
            case .notAsked: isWritten = false
            }
        }
        for name in pausesToEnd where isWritten {
            let writing = await writePause(records) { connection throws(PostgresError) in
                try await EndPause.run(on: connection, name, deadline: .now() + Times.statement)
            }
            switch writing {
            case .written:
                pausesToEnd.removeAll { $0 == name }
                jobsAreDue()
            case .refused: continue
            case .notAsked: isWritten = false
            }
        }
        let isDone = pausesToBegin.isEmpty && pausesToEnd.isEmpty
        pausesAreRefused = !isDone && isWritten
        pausesRetryAt = isDone ? nil : .now() + (isWritten ? .seconds(1) : .milliseconds(100))
    }

    private enum PauseWriting { case written, refused, notAsked }

    private func writePause(
        _ records: Session, _ body: (Connection) async throws(PostgresError) -> Void
    ) async -> PauseWriting {
        do {
            try await body(try await records.connection(deadline: .now() + Times.statement))
            return .written
        } catch {
            switch error {
            case .server:
                if let count = pauseErrors.count(at: .now()) {
                    log.error(
                        "a pause cannot be written; trying again every second",
                        metadata: [LogKeys.error: "\(error)", LogKeys.count: "\(count)"])
                }
                return .refused
            case .lost, .deadline, .canceled, .connect, .settings, .unsuitable, .misuse: return .notAsked
            }
        }
    }

    // MARK: Probes

    /// Until a probe may be due.
    func awaitProbe() async { await probes.wait(until: nextProbe) }

    /// Whether this worker could send a probe.
    var mayProbe: Bool {
        machine.pause.reason == nil && !machine.isHalted && !machine.isDraining && machine.canClaim && machine.isHeard
    }

    /// What a look for due probes came to.
    func probed(_ taken: TakeProbe.Taken) {
        nextProbe = taken.next.map { .now() + ($0 > .seconds(0) ? $0 + .milliseconds(10) : Prober.idle) }
        if taken.released > 0 { jobsAreDue() }
    }
}
