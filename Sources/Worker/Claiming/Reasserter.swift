import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime

/// Repairs a database that has lost what this worker did: after a failover to an asynchronous standby, a restore from a
/// backup, or on a server that loses commits. It writes again what the worker knows, and no job that Twilio may have is
/// handed over again. Confined to the loop.
final class Reasserter {
    private static let batch = 512

    private let core: DispatchCore
    private let jobs: JobsInHand
    private let recorder: Recorder
    private let maintenance: MaintenanceSchedule
    /// The server that the claiming session is on; nil if it does not identify itself.
    private(set) var server: ServerInstance?
    /// The claiming session has reached another server: what this worker knows is written there before it claims.
    private(set) var isNeeded = false
    /// No claim before this, while other workers write what they know.
    private var claimsHeldUntil: Instant?
    /// A claim whose answer was lost. The jobs that it may have taken are looked for before the next claim.
    private var lost: LostClaim?

    init(_ core: DispatchCore, _ jobs: JobsInHand, _ recorder: Recorder, _ maintenance: MaintenanceSchedule) {
        (self.core, self.jobs, self.recorder, self.maintenance) = (core, jobs, recorder, maintenance)
    }

    /// A claim whose answer was lost with its connection.
    private struct LostClaim {
        /// The server that was asked; nil if it does not identify itself, or if there were several.
        var server: ServerInstance?
    }

    // MARK: What it is told

    /// The claiming session has reached `server` (nil: it does not identify itself). On another server than the last,
    /// what this worker knows may be missing. After a promotion, other workers get a moment to write what they know.
    func reached(_ server: ServerInstance?) {
        if core.worker != nil, server == nil || server != self.server {
            isNeeded = true
            jobs.claimsHoldSince = .now()
        }
        if let server, let last = self.server, server.timeline != last.timeline, core.machine.schedule.workers.all > 1 {
            claimsHeldUntil = .now() + Times.reassertion
        }
        self.server = server
    }

    /// The answer of a claim on `server` was lost. Nil: no server was asked yet, or it did not identify itself.
    func lostClaim(askedOf server: ServerInstance?) {
        lost = LostClaim(server: lost.map { $0.server == server ? server : nil } ?? server)
    }

    /// How long claims still wait; nil when they need not.
    func claimsWait(at now: Instant) -> Instant.Duration? {
        if let until = claimsHeldUntil, until > now { return until - now }
        claimsHeldUntil = nil
        return nil
    }

    // MARK: What it writes

    /// Writes what this worker knows to a server that may have lost it, before anything is claimed there.
    func reassert(on database: any ClaimDatabase, _ worker: Int64) async throws(PostgresError) {
        var (written, position): (Int, Int?) = (0, nil)
        repeat {
            let batch = jobs.handedOver.acceptedMessages(before: position, limit: Self.batch, at: .now())
            position = batch.next
            guard !batch.messages.isEmpty else { break }
            let known = try await database.known(batch.messages.map(\.sid))
            var forgotten = recorder.emptyBatch
            for message in batch.messages where !known.contains(message.sid) { forgotten.append(message) }
            written += try await writeAgain(forgotten, on: database, worker)
        } while position != nil
        var unknown = RecallUnknown()
        let now = Instant.now()
        for attempt in jobs.handedOver.unknownAttempts(at: now) {
            unknown.append(
                job: attempt.job, attempt: attempt.number, requestedAt: attempt.requestedAt, age: now - attempt.endedAt)
        }
        for sent in jobs.underWay {
            unknown.append(
                job: sent.job.id, attempt: sent.job.attempt, requestedAt: sent.job.requestedAt,
                age: now - sent.trustedUntil)
        }
        let recalled = unknown.count > 0 ? try await database.recall(unknown, worker: worker) : 0
        isNeeded = false
        if recalled > 0 { maintenance.want(.lookUp) }
        guard written + recalled > 0 else { return }
        core.log.warning(
            "the database did not keep results of this worker, in a failover or a crash; recorded them again",
            metadata: [
                LogKeys.count: "\(written + recalled)",
                LogKeys.remedy:
                    "After a failover, make the standby synchronous: otpd doctor says how. After a crash, do nothing.",
            ])
    }

    /// Writes messages that the database has lost; how many. A refused row stops neither other rows nor claims.
    private func writeAgain(_ messages: FinishAccepted, on database: any ClaimDatabase, _ worker: Int64)
        async throws(PostgresError) -> Int
    {
        guard messages.count > 0 else { return 0 }
        do {
            recorder.report(try await database.write(.accepted(messages), worker: worker))
            return messages.count
        } catch {
            guard case .server(let refusal) = error, refusal.kind == .invalidValue else { throw error }
            if messages.count == 1 {
                core.log.critical(
                    "cannot record again a message that Twilio accepted", metadata: .of(error))
                return 0
            }
            let (first, second) = messages.halves()
            let written = try await writeAgain(first, on: database, worker)
            return try await written + writeAgain(second, on: database, worker)
        }
    }

    /// Finds the jobs that a lost claim took, if there is one. Jobs that were never handed over go back to the queue,
    /// if the server is still the one that was asked. Another server may have lost how a job ended, so there the lease
    /// has to end first.
    func settleLostClaim(on database: any ClaimDatabase, _ worker: Int64) async throws(PostgresError) {
        guard let lost else { return }
        let found = try await database.findLost(worker: worker, inHand: jobs.ids + recorder.ids)
        var (ends, messages, released) = (FinishUnsent(), recorder.emptyBatch, 0)
        let isSameServer = lost.server != nil && lost.server == server
        let now = Instant.now()
        for job in found {
            let finding = jobs.finding(
                job: job.id, attempt: job.attempt, requestedAt: job.requestedAt, isResolved: job.isResolved, at: now)
            switch finding {
            case .free:
                guard isSameServer else { continue }
                ends.append(UnsentEnd(job: job.id, attempt: job.attempt, lease: job.leaseEnd, .release))
                released += 1
            case .accepted(let sid, let attempt):
                messages.append(
                    AcceptedMessage(
                        job: job.id, attempt: attempt, verification: job.verificationID, requestedAt: job.requestedAt,
                        sid: sid, status: .queued, sender: nil))
            case .unknown(let age):
                ends.append(
                    UnsentEnd(
                        job: job.id, attempt: job.attempt, lease: job.leaseEnd, .unknown,
                        delay: Instant.Duration(ResolutionRule.earlyLookups[0]), age: age,
                        error: HandedOver.forgottenError, remedy: HandedOver.forgottenRemedy))
            }
        }
        _ = try await writeAgain(messages, on: database, worker)
        if ends.count > 0 { _ = try await database.write(.unsent(ends), worker: worker) }
        if ends.count > released { maintenance.want(.lookUp) }
        if released > 0 {
            core.log.notice(
                "gave back unsent jobs of a claim whose answer was lost",
                metadata: [LogKeys.count: "\(released)"])
        }
        self.lost = nil
    }
}
