import EventLoop
import Logging
import Postgres
import Queue
import Runtime

/// Records the results of sends. While one statement is in flight, results gather for the next one, and under load a
/// moment longer (`DispatchMachine.recordsWait`). While the database cannot be reached, they wait in memory, and so do
/// claims. `RecordMachine` decides what to do with results that the database does not take. Confined to the loop.
final class Recorder {
    private let core: DispatchCore
    private let jobs: JobsInHand
    private let pauses: PauseBook
    private let maintenance: MaintenanceSchedule
    private var accepted: FinishAccepted
    private var unsent = FinishUnsent()
    /// Results that are being recorded, and those that the database does not take yet.
    private var batches = RecordMachine<SendResults>()
    /// Since when the recording session is up. A row's place that an earlier claim told does not count for it.
    private(set) var connectedAt = Instant(nanoseconds: 0)
    /// The claim loop has ended, so that no further jobs have to be given back.
    private var claimsHaveEnded = false
    /// Why results cannot be recorded, while there are such.
    private(set) var trouble: String?
    private var troubleThrottle = LogThrottle()
    /// Results that the next such line counts, beyond one for each line that was suppressed.
    private var unlogged = 0
    /// Jobs whose result was given up, the last thousand. They may have been sent, and so are not given back.
    private var givenUp: [Int64] = []

    /// `sparedPolls`: see `FinishAccepted`.
    init(
        _ core: DispatchCore, _ jobs: JobsInHand, _ pauses: PauseBook, _ maintenance: MaintenanceSchedule,
        sparedPolls: Int32
    ) {
        (self.core, self.jobs, self.pauses, self.maintenance) = (core, jobs, pauses, maintenance)
        accepted = FinishAccepted(sparedPolls: sparedPolls)
    }

    /// Results that are not in the database yet.
    var unsaved: Int { accepted.count + unsent.count + batches.count }
    /// Those of them that the database has not taken.
    var setAside: Int { batches.setAside }
    /// The jobs that have ended and are still this worker's in the database.
    var ids: [Int64] { accepted.jobs + unsent.jobs + batches.jobs + givenUp }
    /// An empty batch of messages.
    var emptyBatch: FinishAccepted { accepted.emptied() }

    // MARK: What it is told

    /// The recording session is up, or has ended.
    func connection(isUp: Bool) {
        core.machine.database.canRecord = isUp
        connectedAt = .now()
        accepted.forgetPlaces()
        batches.forgetPlaces()
        core.claimsMayGo.signal()
    }

    /// Twilio has a message, by its answer or by a lookup.
    func accept(_ message: AcceptedMessage, at now: Instant) {
        core.tally.accepted += 1
        maintenance.want(.poll)
        jobs.handedOver.wasAccepted(message, at: now)
        accepted.append(message)
    }

    /// Twilio has a message of a job whose outcome was unknown.
    func adopt(_ message: AcceptedMessage) {
        accept(message, at: .now())
        core.hasResults.signal()
    }

    /// A recorded message that the database has lost.
    func rewrite(_ message: AcceptedMessage) {
        accepted.append(message)
        core.hasResults.signal()
    }

    /// An attempt ended without a message.
    func end(_ end: UnsentEnd) { unsent.append(end) }

    /// The claim loop has ended.
    func claimsEnded() {
        claimsHaveEnded = true
        core.hasResults.signal()
    }

    /// The worker drains: everything is tried again soon and often.
    func drain() { batches.drain(at: .now()) }

    // MARK: Recording

    /// Records results until the worker has drained and nothing is left to record.
    func run(
        _ records: ConnectionSource<any ResultDatabase>, pauses pauseRecords: ConnectionSource<any PauseDatabase>
    ) async {
        while !Task.isCancelled {
            // A worker without its number may have results already: a lookup at Twilio found a message.
            guard let worker = core.worker, unsaved > 0 || pauses.hasToWrite(at: .now()) else {
                if claimsHaveEnded, pauses.retryAt == nil || pauses.areRefused { return }
                await core.hasResults.wait(until: pauses.retryAt)
                continue
            }
            if pauses.hasToWrite(at: .now()) { await pauses.write(pauseRecords, worker) }
            let gathered = accepted.count + unsent.count
            switch batches.next(haveGathered: gathered > 0, at: .now()) {
            case .gather:
                if let until = core.machine.recordsWait(count: gathered, at: .now()) {
                    await core.hasResults.wait(until: until)
                    continue
                }
                gather()
            case .write(let batch): await record(batch, records, worker)
            case .findLocked(let jobs):
                let locked = await findLocked(jobs, records)
                batches.found(locked: locked, at: .now())
            case .wait(let until):
                await core.hasResults.wait(until: [until, pauses.retryAt].compactMap { $0 }.min())
            }
            giveUp()
        }
    }

    /// Hands the gathered results to the machine, messages first.
    private func gather() {
        core.machine.recordsBegan(at: .now())
        batches.take([.accepted(accepted), .unsent(unsent)], at: .now())
        accepted = accepted.emptied()
        unsent = FinishUnsent()
    }

    /// Writes one batch, or leaves it to the machine.
    private func record(
        _ first: SendResults, _ records: ConnectionSource<any ResultDatabase>, _ worker: Int64
    ) async {
        var batch = first
        while !Task.isCancelled {
            var failure = RecordFailure.noConnection
            do {
                let connection = try await records.connection()
                failure = .interrupted
                report(try await connection.write(batch, worker: worker))
                batches.wrote()
                if batches.setAside == 0, trouble != nil {
                    trouble = nil
                    core.log.notice("every result of a send is recorded")
                }
                if batch.holds { pauses.isGivenJob() }
                // Claims may have waited for room.
                core.claimsMayGo.signal()
                return
            } catch {
                if Task.isCancelled { return }
                if case .server(let refusal) = error {
                    failure = RecordFailure(refusal.kind)
                } else {
                    // The next connection may lead to another server, where other rows lie in the same places.
                    batches.forgetPlaces()
                    batch.forgetPlaces()
                }
                switch batches.failed(failure, at: .now()) {
                case .again(let span):
                    if failure == .serverTrouble { say(error, count: batch.count) }
                    if span > .seconds(0) { try? await core.loop.sleep(for: span) }
                case .findLocked(let jobs):
                    let count = batches.separate(locked: await findLocked(jobs, records), at: .now())
                    if count > 0 { say(error, count: count) }
                    guard let rest = batches.rest else { return }
                    batch = rest
                case .halved: return
                case .setAside: return say(error, count: 1)
                }
            }
        }
    }

    /// Which of these jobs another session holds; none where that cannot be asked.
    private func findLocked(
        _ jobs: [Int64], _ records: ConnectionSource<any ResultDatabase>
    ) async -> Set<Int64> {
        do {
            return try await records.connection().locked(jobs)
        } catch {
            // The write that follows fails in the same way, and logs it.
            return []
        }
    }

    /// Logs that results wait, at most one line a second.
    private func say(_ error: PostgresError, count: Int) {
        trouble = "\(error)"
        unlogged += count - 1
        guard let times = troubleThrottle.count(at: .now()) else { return }
        core.log.error(
            "cannot record the result of a send yet; trying again",
            metadata: .of(error, [LogKeys.count: "\(times + unlogged)"]))
        unlogged = 0
    }

    /// Logs which results are not tried again. Their jobs are not given back, because they may have been sent.
    private func giveUp() {
        for batch in batches.givenUp(at: .now()) {
            givenUp = (givenUp + batch.jobs).suffix(1000)
            for (job, attempt, result) in batch.names {
                core.log.critical(
                    "gave up the result of a send: the database refused it for an hour",
                    metadata: [
                        LogKeys.sendJob: "\(job)", LogKeys.attempt: "\(attempt)", LogKeys.outcome: "\(result)",
                        LogKeys.error: "\(trouble ?? "")",
                        LogKeys.remedy:
                            "Remove the constraint or trigger that refuses it. While the code is live, otpd looks for the message at Twilio.",
                    ])
            }
        }
    }

    private static let sequencesRemedy = """
        SELECT setval('otp.verifications_id_seq', (SELECT max(id) FROM otp.verifications)), \
        setval('otp.send_jobs_id_seq', (SELECT max(id) FROM (SELECT id FROM otp.send_jobs \
        UNION ALL SELECT send_job_id FROM otp.messages UNION ALL SELECT send_job_id FROM otp.unsent_jobs) j));
        """

    /// Logs the rare results that otpd cannot rule out, such as a second message. They are also recorded, and counted
    /// in `otp.failure_summary`.
    func report(_ beside: FinishAccepted.Surplus) {
        if beside.second > 0 {
            core.log.critical(
                "a send job has a second message: its user got the same code twice",
                metadata: [
                    LogKeys.count: "\(beside.second)",
                    LogKeys.remedy:
                        "Look for a proxy or an outage that held requests back for longer than 60 seconds. OTPD_RESEND_UNKNOWN=never prevents it.",
                ])
        }
        if beside.takenIDs > 0 {
            core.log.critical(
                "new send jobs have the ids of earlier ones; their results are kept beside the earlier ones",
                metadata: [
                    LogKeys.count: "\(beside.takenIDs)",
                    LogKeys.remedy:
                        "The sequences are behind the history, as after logical replication or a restore of data alone. Run as the owner of the schema: \(Self.sequencesRemedy)",
                ])
        }
        if beside.all > beside.second {
            core.log.warning(
                "found messages of send jobs that had ended without one; kept them beside these jobs",
                metadata: [LogKeys.count: "\(beside.all - beside.second)"])
        }
    }
}
