import EventLoop
import Logging
import OTP
import Postgres
import Queue

/// A claim whose answer was lost with its connection.
struct LostClaim: Sendable {
    /// The server that was asked; nil where it does not say which one it is, or where there were several.
    var server: ServerInstance?
}

/// Where the database has forgotten what this worker has done: after a failover to an asynchronous standby, a restart from
/// a backup, or on a server that does not keep its promise. What the worker knows is written again, and nothing that may be
/// at Twilio is handed over again.
extension Dispatcher {
    private static let batch = 512

    /// Writes what this worker knows to a server that may have forgotten it, before anything is claimed there.
    func reassert(on connection: Connection, _ worker: Int64) async throws(PostgresError) {
        var (written, position): (Int, Int?) = (0, nil)
        repeat {
            let batch = handedOver.acceptedMessages(before: position, limit: Self.batch, at: .now())
            position = batch.next
            guard !batch.messages.isEmpty else { break }
            let known = try await KnownMessages.run(
                on: connection, batch.messages.map(\.sid), deadline: .now() + Times.statement)
            var forgotten = accepted.emptied()
            for message in batch.messages where !known.contains(message.sid) { forgotten.append(message) }
            written += try await writeAgain(forgotten, on: connection, worker)
        } while position != nil
        var unknown = RecallUnknown()
        let now = Instant.now()
        for attempt in handedOver.unknownAttempts(at: now) {
            unknown.append(
                job: attempt.job, attempt: attempt.number, requestedAt: attempt.requestedAt, age: now - attempt.endedAt)
        }
        for case let sent? in sending {
            unknown.append(
                job: sent.job.id, attempt: sent.job.attempt, requestedAt: sent.job.requestedAt, age: .seconds(0))
        }
        let recalled =
            unknown.count > 0
            ? try await unknown.run(on: connection, worker: worker, deadline: .now() + Times.statement) : 0
        mustReassert = false
        if recalled > 0 { outcomeUnknown() }
        guard written + recalled > 0 else { return }
        log.warning(
            "the database had forgotten sends of this worker after a failover; they were written again",
            metadata: [
                LogKeys.count: "\(written + recalled)",
                LogKeys.remedy: "Make the standby synchronous: otpd doctor says how.",
            ])
    }

    /// Writes messages that the database has forgotten; how many. A row that it refuses stops no other, and no claim.
    private func writeAgain(_ messages: FinishAccepted, on connection: Connection, _ worker: Int64)
        async throws(PostgresError) -> Int
    {
        guard messages.count > 0 else { return 0 }
        do {
            report(try await messages.run(on: connection, worker: worker, deadline: .now() + Times.statement))
            return messages.count
        } catch {
            guard case .server(let refusal) = error,
                refusal.sqlstate.hasPrefix("22") || refusal.sqlstate.hasPrefix("23")
            else { throw error }
            if messages.count == 1 {
                log.critical(
                    "a message that Twilio accepted could not be written again", metadata: [LogKeys.error: "\(error)"])
                return 0
            }
            let (first, second) = messages.halves()
            let written = try await writeAgain(first, on: connection, worker)
            return try await written + writeAgain(second, on: connection, worker)
        }
    }

    /// Finds out what a lost claim took. What was never handed over goes back to the queue, if the server is still the one
    /// that was asked: another may have forgotten how a job ended, so there the lease has to lapse.
    func settle(_ lost: LostClaim, on connection: Connection, _ worker: Int64) async throws(PostgresError) {
        let jobs = try await FindLost.run(
            on: connection, worker: worker, inHand: jobsInHand, deadline: .now() + Times.statement)
        var (ends, messages, released) = (FinishUnsent(), accepted.emptied(), 0)
        let isSameServer = lost.server != nil && lost.server == server
        let now = Instant.now()
        for job in jobs {
            let finding = handedOver.finding(
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
                        delay: Instant.Span(ResolutionRule.earlyLooks[0]), age: age, error: Self.forgotten,
                        remedy: Self.remedy))
            }
        }
        _ = try await writeAgain(messages, on: connection, worker)
        if ends.count > 0 {
            try await ends.run(on: connection, worker: worker, deadline: .now() + Times.statement)
        }
        if ends.count > released { outcomeUnknown() }
        if released > 0 {
            log.notice(
                "jobs of a claim whose answer was lost were given back, unsent",
                metadata: [LogKeys.count: "\(released)"])
        }
    }

    /// Ends a claimed job that this process has handed over before, as far as that may be at Twilio; whether it did.
    func settle(_ next: WaitingJob, at now: Instant) -> Bool {
        let job = next.job
        let finding = handedOver.finding(
            job: job.id, attempt: job.attempt, requestedAt: job.requestedAt, isResolved: job.isResolved, at: now)
        switch finding {
        case .free: return false
        case .accepted(let sid, let attempt):
            announce(machine.dropped(at: now))
            if job.isQuarantined { quarantined -= 1 }
            accepted.append(
                AcceptedMessage(
                    job: job.id, attempt: attempt, verification: job.verificationID, requestedAt: job.requestedAt,
                    sid: sid, status: .queued, sender: nil))
            ends.signal()
        case .unknown(let age):
            counters.unknown += 1
            outcomeUnknown()
            drop(
                next, .unknown, delay: Instant.Span(ResolutionRule.earlyLooks[0]), age: age, error: Self.forgotten,
                remedy: Self.remedy)
        }
        if let count = recognised.count(at: now) {
            log.warning(
                "a job came back that was handed over already: the database has forgotten that; it is not sent again",
                metadata: [
                    LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)", LogKeys.count: "\(count)",
                    LogKeys.remedy: "Make the standby synchronous: otpd doctor says how.",
                ])
        }
        return true
    }

    private static let forgotten = "The database had forgotten an attempt to send it: it may have been sent."
    private static let remedy =
        "Nothing: otpd looks for it at Twilio, and sends it again only where Twilio does not have it."
}
