import EventLoop
import Logging
import OTP
import Queue
import Runtime

/// The path of one send: direct calls on the loop, without executor hops and allocations. Decides when a job in hand is
/// handed to its channel; what its end means is in `JobSender+Outcomes.swift`. Confined to the loop.
final class JobSender<Channel: SendChannel> {
    let core: DispatchCore
    let jobs: JobsInHand
    let pauses: PauseBook
    let catalog: Catalog
    let maintenance: MaintenanceSchedule
    let recorder: Recorder
    /// Nil for e-mail.
    private let risks: RiskChecks?
    /// Nil without traces.
    let spans: JobSpans?
    var random = SystemRandomNumberGenerator()
    var limits = LogLimits()
    /// Since when the channel's credentials are in force.
    var credentialsSince = Instant(nanoseconds: 0)
    /// The text that is being sent, with its code; empty between two sends.
    private var text: [UInt8] = []
    private var tokenTimer: (id: TimerID, due: Instant)?
    var channel: Channel

    init(
        _ core: DispatchCore, _ jobs: JobsInHand, _ pauses: PauseBook, _ catalog: Catalog,
        _ maintenance: MaintenanceSchedule, _ recorder: Recorder, _ channel: Channel, risks: RiskChecks? = nil,
        spans: JobSpans? = nil
    ) {
        (self.core, self.jobs, self.pauses, self.catalog) = (core, jobs, pauses, catalog)
        (self.maintenance, self.recorder, self.channel) = (maintenance, recorder, channel)
        (self.risks, self.spans) = (risks, spans)
        risks?.ended = { [weak self] next, refusal in self?.checked(next, refusal) }
    }

    /// Events that can happen a thousand times a second are logged once a second, with their count.
    struct LogLimits {
        var unknown = LogThrottle()
        var alert = LogThrottle()
        var sealedOtherwise = LogThrottle()
        var recognized = LogThrottle()
        var noDescriptor = LogThrottle(every: .seconds(60))
    }

    // MARK: What was claimed

    /// Takes over a claim's jobs, and hands over those that may go now.
    func take(_ claimed: ClaimedJobs, claimedAt: Instant) {
        let now = Instant.now()
        for job in claimed.jobs {
            if job.isQuarantined { jobs.quarantined += 1 }
            let next = WaitingJob(job, claimedAt: claimedAt)
            if jobs.handedOver.contains(job.id), recognize(next, at: now) { continue }
            if job.maxRisk != nil, claimed.durabilityWarning == nil, risks?.take(next, at: now) == true { continue }
            jobs.waiting.append(next)
        }
        if let warning = claimed.durabilityWarning {
            core.log.error(
                "PostgreSQL answered a claim with a warning, so the claim may be lost; none of its jobs is sent",
                metadata: [
                    LogKeys.error: "\(warning)",
                    LogKeys.remedy: """
                    If PostgreSQL was stopped or crashed, do nothing: otpd connects again. If a synchronous standby is away, \
                    bring it back.
                    """,
                ])
            releaseWaiting()
        }
        // A drain or a halt may have begun while the claim was under way. `pump` handles a pause.
        if core.machine.isDraining || core.machine.isHalted { releaseWaiting() }
        pump()
    }

    /// Ends a claimed job that this process has already handed over, if Twilio may have it; whether it did.
    private func recognize(_ next: WaitingJob, at now: Instant) -> Bool {
        let job = next.job
        let finding = jobs.finding(
            job: job.id, attempt: job.attempt, requestedAt: job.requestedAt, isResolved: job.isResolved, at: now)
        switch finding {
        case .free: return false
        case .accepted(let sid, let attempt):
            core.announce(core.machine.dropped(at: now))
            if job.isQuarantined { jobs.quarantined -= 1 }
            recorder.rewrite(
                AcceptedMessage(
                    job: job.id, attempt: attempt, verification: job.verificationID, requestedAt: job.requestedAt,
                    sid: sid, status: .queued, sender: nil))
        case .unknown(let age):
            core.tally.unknown += 1
            maintenance.want(.lookUp)
            drop(
                next,
                Unsendable(
                    .unknown, delay: Instant.Duration(ResolutionRule.earlyLookups[0]), age: age,
                    error: HandedOver.forgottenError, remedy: HandedOver.forgottenRemedy))
        }
        if let count = limits.recognized.count(at: now) {
            core.log.warning(
                "claimed a job that was handed over already: the database lost the attempt; it is not sent again",
                metadata: [
                    LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)", LogKeys.count: "\(count)",
                    LogKeys.remedy: "Make the standby synchronous: otpd doctor says how.",
                ].joined(to: job.caller))
        }
        return true
    }

    /// A job's number was looked up: it is handed over, or ends.
    private func checked(_ next: WaitingJob, _ refusal: Unsendable?) {
        if let refusal {
            drop(next, refusal)
        } else if core.machine.isDraining || core.machine.isHalted {
            drop(next, Unsendable(.release))
        } else {
            jobs.waiting.append(next)
        }
        // Tells the claims too: a drain or a probe may wait for this job alone.
        pump()
    }

    // MARK: Handing over

    /// Hands over the jobs that may go now.
    func pump() {
        let now = Instant.now()
        if !jobs.rateLimited.isEmpty { releaseRateLimited(at: now) }
        while !jobs.waiting.isEmpty, core.machine.pause.mayHandOver, core.machine.mayHandOver(at: now) {
            guard let next = jobs.waiting.popFirst() else { break }
            handOver(next, at: now)
        }
        if core.machine.pause.reason != nil, !core.machine.pause.isProbing { releaseWaiting() }
        awaitToken()
        core.claimsMayGo.signal()
    }

    /// Hands over rate-limited jobs whose senders' turns have come.
    private func releaseRateLimited(at now: Instant) {
        for sender in jobs.rateLimited.keys {
            while core.machine.pause.mayHandOver, core.machine.mayHandOver(at: now),
                core.machine.rates.mayRelease(sender, at: now), let next = jobs.rateLimited[sender]?.popFirst()
            {
                core.machine.released(sender)
                handOver(next, at: now, isItsTurn: true)
            }
            if jobs.rateLimited[sender]?.isEmpty == true { jobs.rateLimited[sender] = nil }
        }
    }

    /// Sends one job, or ends it if it cannot be sent. If its sender's turn has not come, it stays in hand or goes
    /// back.
    private func handOver(_ next: WaitingJob, at now: Instant, isItsTurn: Bool = false) {
        let job = next.job
        // Another server may have forgotten this claim, and give the job out again.
        guard next.claimedAt >= jobs.claimsHoldSince else { return drop(next, Unsendable(.release)) }
        if let reason = job.endReason { return drop(next, Unsendable(.canceled, error: reason.words)) }
        // The shortest life that a message can be given: Twilio's ValidityPeriod is a second at least.
        guard now + .seconds(1) < next.expiresAt else {
            return drop(
                next,
                Unsendable(.expired, error: "Its code expired before it could be sent.", remedy: Words.newCode))
        }
        guard next.fitsLease(at: now) else { return drop(next, Unsendable(.release)) }
        guard let code = job.code else { return drop(next, sealedOtherwise(at: now)) }
        let draft: Channel.Draft
        do throws(Unsendable) { draft = try channel.draft(job) } catch { return drop(next, error) }
        let (sender, rateKey) = (draft.sender, draft.rateKey)
        if core.machine.rates.hasSenders, !isItsTurn {
            switch core.machine.turn(of: rateKey, at: now) {
            case .now: break
            case .soon: return jobs.rateLimited[rateKey, default: WaitingQueue()].append(next)
            case .later(let delay):
                core.machine.schedule.expect(at: now + delay + .milliseconds(50))
                return drop(
                    next,
                    Unsendable(
                        .deferred, delay: delay, error: "The job waits for its turn: the sender's rate is limited.",
                        remedy: "Nothing to do. To send faster, raise the sender's rate in otp.sender_rates.",
                        holdKey: rateKey, rate: core.machine.rates.rate(of: rateKey)))
            }
        }
        let lifeLeft = next.lifeLeft(at: now)
        text.removeAll(keepingCapacity: true)
        do throws(Unsendable) {
            try channel.render(draft, of: job, code: code, lifeLeft: lifeLeft, into: &text)
        } catch {
            wipeText()
            return drop(next, error)
        }
        core.machine.handedOver(from: rateKey, at: now)
        jobs.handedOver.began(job.id, at: now)
        next.isHandedOver(at: now, concurrency: core.machine.inFlight, sender: sender)
        let tag = jobs.began(next)
        channel.post(draft, of: next, code: code, text: text, lifeLeft: lifeLeft, tag: tag)
        wipeText()
    }

    private func sealedOtherwise(at now: Instant) -> Unsendable {
        let remedy = """
            Set OTPD_SECRET to the value of otp.secret in the backend's sessions. While you change the secret, set \
            OTPD_SECRET_PREVIOUS to the old one.
            """
        if let count = limits.sealedOtherwise.count(at: now) {
            core.log.error(
                "codes are sealed under another secret: their jobs wait",
                metadata: [LogKeys.count: "\(count)", LogKeys.remedy: "\(remedy)"])
        }
        return Unsendable(
            .retry, delay: .seconds(5), error: "Its code is sealed under another secret.", remedy: remedy)
    }

    /// Ends a job that was claimed and not handed over.
    private func drop(_ next: WaitingJob, _ why: Unsendable) {
        let now = Instant.now()
        core.announce(core.machine.dropped(at: now))
        if next.job.isQuarantined { jobs.quarantined -= 1 }
        if why.outcome == .failed { core.tally.failed += 1 }
        spans?.dropped(next, why, at: now)
        if why.outcome == .retry { core.machine.schedule.expect(at: now + why.delay + .milliseconds(50)) }
        recorder.end(
            UnsentEnd(
                job: next.job.id, attempt: next.job.attempt, lease: next.job.leaseEnd, why.outcome, delay: why.delay,
                age: why.age, error: why.error, remedy: why.remedy, errorClass: why.errorClass, holdKey: why.holdKey,
                rate: why.rate))
        core.hasResults.signal()
    }

    /// Gives back the jobs that were claimed and not handed over.
    func releaseWaiting() {
        while let next = jobs.waiting.popFirst() { drop(next, Unsendable(.release)) }
        for sender in jobs.rateLimited.keys {
            while let next = jobs.rateLimited[sender]?.popFirst() {
                core.machine.released(sender)
                drop(next, Unsendable(.release))
            }
        }
        jobs.rateLimited = [:]
    }

    /// Erases the text, and with it the code, from memory.
    private func wipeText() {
        for index in text.indices { text[index] = 0 }
        text.removeAll(keepingCapacity: true)
    }

    /// Sets a timer for the next token of a rate limit, where jobs wait for nothing else.
    private func awaitToken() {
        guard let due = core.machine.nextToken(after: .now()) else { return }
        if let timer = tokenTimer {
            guard due < timer.due else { return }
            core.loop.cancel(timer.id)
        }
        let id = core.loop.schedule(at: due) { [weak self] in
            self?.tokenTimer = nil
            self?.pump()
        }
        tokenTimer = (id, due)
    }
}

extension ClaimedJob.EndReason {
    fileprivate var words: String {
        switch self {
        case .deleted: "The verification was deleted before its code was sent."
        case .canceled: "The verification was canceled before its code was sent."
        case .verified: "The code was used before it was sent."
        case .replaced: "A newer code for the same subject and purpose replaced this one before it was sent."
        case .test: "Its phone number became a test number before the code was sent."
        }
    }
}
