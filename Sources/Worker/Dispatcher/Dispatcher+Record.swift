import EventLoop
import Logging
import Postgres
import Queue

/// Writing down what has ended. While one statement is in flight, ends gather for the next, and under load a moment longer:
/// (`DispatchMachine.recordsWait`). While the database is away they wait in memory, and the claims with them.
extension Dispatcher {
    /// Writes ends until the worker has drained and nothing is left to write.
    func recordLoop(_ records: Session) async {
        while !Task.isCancelled {
            // Before this worker has its number there may be something to write already: what a look at Twilio found.
            guard let worker, accepted.count + unsent.count + pausesToBegin.count + pausesToEnd.count > 0 else {
                if hasStoppedClaiming { return }
                await ends.wait()
                continue
            }
            if let until = machine.recordsWait(count: accepted.count + unsent.count, at: .now()) {
                await ends.wait(until: until)
                continue
            }
            machine.recordsBegan(at: .now())
            let batch = (accepted, unsent)
            accepted = accepted.emptied()
            unsent = FinishUnsent()
            endsInWriting = batch.0.count + batch.1.count
            jobsInWriting = batch.0.jobs + batch.1.jobs
            // First: a job is held only by a pause that is there.
            await writePauses(records, worker)
            await write(batch.0, records, worker)
            await write(batch.1, records, worker)
            jobsInWriting = []
            if batch.1.holds { probes.signal() }
            // Claims may have waited for room.
            changed.signal()
        }
    }

    /// Says what CONTRACT 7.2 leaves possible in principle: it is recorded, counted in `otp.failure_summary`, and alarmed.
    func report(_ beside: FinishAccepted.Beside) {
        if beside.second > 0 {
            log.critical(
                "a second message of a send job turned up: its user got the same code twice",
                metadata: [
                    LogKeys.count: "\(beside.second)",
                    LogKeys.remedy:
                        "Look for a proxy or an outage that held requests back for longer than the grace; OTPD_RESEND_UNKNOWN=never rules it out.",
                ])
        }
        if beside.all > beside.second {
            log.warning(
                "messages turned up of send jobs that had ended without one; they are kept beside them",
                metadata: [LogKeys.count: "\(beside.all - beside.second)"])
        }
    }

    /// Writes a batch however long it takes. A batch that the database refuses is halved, so that one row that can't be
    /// written (there should be none) holds up no other.
    private func write(_ ends: some Ends, _ records: Session, _ worker: Int64) async {
        guard ends.count > 0 else { return }
        var batch = ends
        while true {
            do {
                let connection = try await records.connection(deadline: .now() + Times.statement)
                report(try await batch.write(on: connection, worker: worker, deadline: .now() + Times.statement))
                endsInWriting -= batch.count
                return
            } catch {
                if Task.isCancelled { return }
                switch error {
                case .server(let refusal) where ["40001", "40P01"].contains(refusal.sqlstate):
                    continue  // Two statements met; the same again.
                case .server where batch.count > 1:
                    let (first, second) = batch.halves()
                    await write(first, records, worker)
                    return await write(second, records, worker)
                case .server(let refusal) where refusal.sqlstate.hasPrefix("22") || refusal.sqlstate.hasPrefix("23"):
                    // Its lease will lapse and the sweep will call it unknown: visible, and not sent again.
                    log.critical("what became of a send could not be written", metadata: [LogKeys.error: "\(error)"])
                    endsInWriting -= batch.count
                    jobsUnwritten = (jobsUnwritten + batch.jobs).suffix(1000)
                    return
                case .server:
                    log.error(
                        "what became of sends can't be written; trying again", metadata: [LogKeys.error: "\(error)"])
                    try? await loop.sleep(for: .seconds(1))
                case .lost, .deadline, .cancelled, .connect, .settings, .unsuitable, .misuse:
                    // The session reports lost connections; writing is repeated, which is harmless. The next connection
                    // may lead to another server, where other rows lie in the same places.
                    batch.forgetPlaces()
                    try? await loop.sleep(for: .milliseconds(100))
                }
            }
        }
    }
}

/// A batch of ends that can be written at once or in parts.
private protocol Ends: Sendable {
    var count: Int { get }
    var jobs: [Int64] { get }
    func halves() -> (Self, Self)
    mutating func forgetPlaces()
    /// Writes them; what came beside their jobs' ends.
    func write(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError)
        -> FinishAccepted.Beside
}

extension FinishAccepted: Ends {
    func write(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError) -> Beside {
        try await run(on: connection, worker: worker, deadline: deadline)
    }
}

extension FinishUnsent: Ends {
    /// They know none.
    mutating func forgetPlaces() {}

    func write(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError)
        -> FinishAccepted.Beside
    {
        try await run(on: connection, worker: worker, deadline: deadline)
        return .none
    }
}
