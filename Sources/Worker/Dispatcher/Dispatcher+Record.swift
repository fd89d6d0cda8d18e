import EventLoop
import Logging
import Postgres
import Queue

/// Recording what became of sends. While one statement is in flight, results gather for the next one, and under load a
/// moment longer (`DispatchMachine.recordsWait`). While the database is away they wait in memory, and the claims with
/// them. `RecordMachine` decides what becomes of results that the database does not take.
extension Dispatcher {
    /// Records results until the worker has drained and nothing is left to record.
    func recordLoop(_ records: Session) async {
        while !Task.isCancelled {
            // A worker without its number may have results already: a lookup at Twilio found a message.
            guard let worker, accepted.count + unsent.count + recorder.count > 0 || hasPausesToWrite(at: .now()) else {
                if hasStoppedClaiming, pausesRetryAt == nil || pausesAreRefused { return }
                await ends.wait(until: pausesRetryAt)
                continue
            }
            if hasPausesToWrite(at: .now()) { await writePauses(records, worker) }
            let gathered = accepted.count + unsent.count
            switch recorder.next(haveGathered: gathered > 0, at: .now()) {
            case .gather:
                if let until = machine.recordsWait(count: gathered, at: .now()) {
                    await ends.wait(until: until)
                    continue
                }
                gather()
            case .write(let batch): await record(batch, records, worker)
            case .findLocked(let jobs):
                let locked = await findLocked(jobs, records)
                recorder.found(locked: locked, at: .now())
            case .wait(let until):
                await ends.wait(until: [until, pausesRetryAt].compactMap { $0 }.min())
            }
            giveUp()
        }
    }

    /// Hands what has gathered to the recorder: messages first.
    private func gather() {
        machine.recordsBegan(at: .now())
        recorder.take([.accepted(accepted), .unsent(unsent)], at: .now())
        accepted = accepted.emptied()
        unsent = FinishUnsent()
    }

    /// Writes one batch, or leaves it to the machine.
    private func record(_ first: SendResults, _ records: Session, _ worker: Int64) async {
        var batch = first
        while !Task.isCancelled {
            var failure = RecordFailure.noConnection
            do {
                let connection = try await records.connection(deadline: .now() + Times.statement)
                failure = .interrupted
                report(try await batch.write(on: connection, worker: worker, deadline: .now() + Times.statement))
                recorder.wrote()
                if recorder.setAside == 0, recordTrouble != nil {
                    recordTrouble = nil
                    log.notice("every result of a send is recorded")
                }
                if batch.holds { probes.signal() }
                // Claims may have waited for room.
                changed.signal()
                return
            } catch {
                if Task.isCancelled { return }
                if case .server(let refusal) = error {
                    failure = RecordFailure(sqlstate: refusal.sqlstate)
                } else {
                    // The next connection may lead to another server, where other rows lie in the same places.
                    recorder.forgetPlaces()
                    batch.forgetPlaces()
                }
                switch recorder.failed(failure, at: .now()) {
                case .again(let span):
                    if failure == .serverTrouble { say(error, count: batch.count) }
                    if span > .seconds(0) { try? await loop.sleep(for: span) }
                case .findLocked(let jobs):
                    let count = recorder.separate(locked: await findLocked(jobs, records), at: .now())
                    if count > 0 { say(error, count: count) }
                    guard let rest = recorder.rest else { return }
                    batch = rest
                case .halved: return
                case .setAside: return say(error, count: 1)
                }
            }
        }
    }

    /// Which of these jobs another session holds; none where that cannot be asked.
    private func findLocked(_ jobs: [Int64], _ records: Session) async -> Set<Int64> {
        do {
            let connection = try await records.connection(deadline: .now() + Times.statement)
            return try await FindLocked.run(on: connection, jobs, deadline: .now() + Times.statement)
        } catch {
            // The write that follows meets the same trouble, and says it.
            return []
        }
    }

    /// Says that results wait: at most one line a second.
    private func say(_ error: PostgresError, count: Int) {
        recordTrouble = "\(error)"
        unrecorded += count - 1
        guard let times = unrecordedThrottle.count(at: .now()) else { return }
        log.error(
            "the result of a send cannot be recorded yet; it waits beside the others",
            metadata: [
                LogKeys.count: "\(times + unrecorded)", LogKeys.error: "\(error)",
                LogKeys.remedy:
                    "See which session holds the row (pg_blocking_pids), or which constraint or trigger refuses it. otpd tries again.",
            ])
        unrecorded = 0
    }

    /// Says which results are no longer tried. Their jobs are not given back: they may have been sent.
    private func giveUp() {
        for batch in recorder.givenUp(at: .now()) {
            jobsUnwritten = (jobsUnwritten + batch.jobs).suffix(1000)
            for (job, attempt, result) in batch.names {
                log.critical(
                    "the result of a send was refused for an hour and is given up",
                    metadata: [
                        LogKeys.sendJob: "\(job)", LogKeys.attempt: "\(attempt)", LogKeys.outcome: "\(result)",
                        LogKeys.error: "\(recordTrouble ?? "")",
                        LogKeys.remedy:
                            "Remove what refuses it. The reconciler looks for the message at Twilio while the code lives.",
                    ])
            }
        }
    }

    private static let sequencesRemedy = """
        SELECT setval('otp.verifications_id_seq', (SELECT max(id) FROM otp.verifications)), \
        setval('otp.send_jobs_id_seq', (SELECT max(id) FROM (SELECT id FROM otp.send_jobs \
        UNION ALL SELECT send_job_id FROM otp.messages UNION ALL SELECT send_job_id FROM otp.unsent_jobs) j));
        """

    /// Says what the promise leaves possible in principle: it is recorded, counted in `otp.failure_summary`, and alarmed.
    func report(_ beside: FinishAccepted.Surplus) {
        if beside.second > 0 {
            log.critical(
                "a second message of a send job turned up: its user got the same code twice",
                metadata: [
                    LogKeys.count: "\(beside.second)",
                    LogKeys.remedy:
                        "Look for a proxy or an outage that held requests back for longer than the grace; OTPD_RESEND_UNKNOWN=never rules it out.",
                ])
        }
        if beside.takenIDs > 0 {
            log.critical(
                "the ids of send jobs are those of earlier jobs; their results are kept beside the earlier ones",
                metadata: [
                    LogKeys.count: "\(beside.takenIDs)",
                    LogKeys.remedy:
                        "The sequences stand behind the history, as after logical replication or a restore of data alone. As the owner of the schema: \(Self.sequencesRemedy)",
                ])
        }
        if beside.all > beside.second {
            log.warning(
                "messages turned up of send jobs that had ended without one; they are kept beside them",
                metadata: [LogKeys.count: "\(beside.all - beside.second)"])
        }
    }
}

/// Results of one kind: messages that Twilio took, or ends without a message.
enum SendResults: Sendable, ResultBatch {
    case accepted(FinishAccepted)
    case unsent(FinishUnsent)

    var count: Int {
        switch self {
        case .accepted(let batch): batch.count
        case .unsent(let batch): batch.count
        }
    }

    var jobs: [Int64] {
        switch self {
        case .accepted(let batch): batch.jobs
        case .unsent(let batch): batch.jobs
        }
    }

    /// Whether a pause is given a job.
    var holds: Bool {
        switch self {
        case .accepted: false
        case .unsent(let batch): batch.holds
        }
    }

    /// For the log.
    var names: [(job: Int64, attempt: Int32, result: String)] {
        switch self {
        case .accepted(let batch): batch.names
        case .unsent(let batch): batch.names
        }
    }

    func halves() -> (SendResults, SendResults) {
        switch self {
        case .accepted(let batch):
            let (first, second) = batch.halves()
            return (.accepted(first), .accepted(second))
        case .unsent(let batch):
            let (first, second) = batch.halves()
            return (.unsent(first), .unsent(second))
        }
    }

    func separated(_ jobs: Set<Int64>) -> (of: SendResults, others: SendResults) {
        switch self {
        case .accepted(let batch):
            let (of, others) = batch.separated(jobs)
            return (.accepted(of), .accepted(others))
        case .unsent(let batch):
            let (of, others) = batch.separated(jobs)
            return (.unsent(of), .unsent(others))
        }
    }

    mutating func forgetPlaces() {
        guard case .accepted(var batch) = self else { return }
        batch.forgetPlaces()
        self = .accepted(batch)
    }

    /// Writes them; what came beside their jobs' ends.
    func write(on connection: Connection, worker: Int64, deadline: Instant) async throws(PostgresError)
        -> FinishAccepted.Surplus
    {
        switch self {
        case .accepted(let batch): return try await batch.run(on: connection, worker: worker, deadline: deadline)
        case .unsent(let batch):
            let takenIDs = try await batch.run(on: connection, worker: worker, deadline: deadline)
            return FinishAccepted.Surplus(all: 0, second: 0, takenIDs: takenIDs)
        }
    }
}
