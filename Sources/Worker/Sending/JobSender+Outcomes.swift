import EventLoop
import Logging
import OTP
import Queue
import Runtime
import Tracing

/// What the ends of requests mean for their jobs and for the worker.
extension JobSender {
    /// Every request that ended in this turn.
    func completed(_ completions: [Channel.Ended]) {
        let now = Instant.now()
        for completion in completions {
            guard let sent = jobs.ended(channel.tag(of: completion)) else { continue }
            core.machine.sendEnded(at: now)
            let outcome = channel.outcome(of: completion, for: sent.job)
            if outcome == .unknown(.foreignAnswer) { channel.retireConnections() }
            settle(
                sent, outcome, httpStatus: channel.httpStatus(of: completion),
                seenAtATime: channel.seenAtATime(by: completion), at: now)
            // A rejection of the old credentials must not pause the new ones.
            if sent.handedOver.at < credentialsSince { core.machine.probeNow(at: now) }
        }
        pump()
        core.hasResults.signal()
    }

    private func settle(
        _ sent: WaitingJob, _ outcome: OTP.Outcome, httpStatus: Int?, seenAtATime: Int?, at now: Instant
    ) {
        let job = sent.job
        if job.isQuarantined { jobs.quarantined -= 1 }
        let disposition = catalog.rule.decide(
            outcome, attempt: Int(job.tries), lifeLeft: sent.lifeLeft(at: now), channel: job.channel, using: &random)
        // Log lines name the attempt's span, or the caller's if otpd records none.
        let span = spans?.sent(sent, outcome, disposition.step, httpStatus: httpStatus, at: now) ?? job.caller
        switch disposition.step {
        case .accepted(let sid, let status):
            if let probed = job.probeOf { pauses.end(probed) }
            core.tally.latency.add(microseconds: (job.age + (now - sent.claimedAt)).nanoseconds / 1000)
            recorder.accept(
                AcceptedMessage(
                    job: job.id, attempt: job.attempt, verification: job.verificationID, requestedAt: job.requestedAt,
                    place: sent.claimedAt > recorder.connectedAt ? job.place : nil, sid: sid,
                    status: status ?? .queued, sender: sent.handedOver.sender, country: job.country),
                at: now)
        case .failed(let why):
            core.tally.failed += 1
            end(job, .failed, why, span: span)
        case .expired(let why):
            end(job, .expired, why, span: span)
        case .retry(let delay, let why):
            let delay = Instant.Duration(delay)
            core.machine.schedule.expect(at: now + delay + .milliseconds(50))
            end(job, .retry, why, delay: delay, span: span)
        case .hold(let why):
            end(
                job, .hold, why, holdKey: pauses.demanded(by: disposition.effect, for: job)?.scope.name, span: span)
        case .unknown(let reason): isUnknown(job, reason, at: now, span: span)
        }
        if let pause = pauses.demanded(by: disposition.effect, for: job) { pauses.begin(pause) }
        throttle(sent, disposition.effect, outcome, seenAtATime, at: now)
        apply(disposition, outcome, at: now)
    }

    private func isUnknown(
        _ job: ClaimedJob, _ reason: OTP.Outcome.Unclear, at now: Instant, span: TraceContext?
    ) {
        core.tally.unknown += 1
        maintenance.want(.lookUp)
        jobs.handedOver.isUnknown(job, at: now)
        recorder.end(
            UnsentEnd(
                job: job.id, attempt: job.attempt, lease: job.leaseEnd, .unknown,
                delay: Instant.Duration(ResolutionRule.earlyLookups[0]),
                error: Sentence.whole("\(reason.explanation): it may have been sent"),
                remedy: HandedOver.forgottenRemedy, errorClass: reason.name))
        if let count = limits.unknown.count(at: now) {
            core.log.warning(
                "the outcome of a send is unknown",
                metadata: [
                    LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)",
                    LogKeys.reason: "\(reason.explanation)", LogKeys.count: "\(count)",
                ].joined(to: span))
        }
    }

    /// Learns from an answer how many requests Twilio accepts.
    private func throttle(
        _ sent: WaitingJob, _ effect: Disposition.Effect?, _ outcome: OTP.Outcome, _ seen: Int?, at now: Instant
    ) {
        let handedOver = sent.handedOver
        if case .throttle(let retryAfter) = effect {
            core.announce(
                core.machine.throttled(
                    handedOverAt: handedOver.at, concurrency: handedOver.concurrency,
                    retryAfter: retryAfter.map { Instant.Duration($0) }, seen: seen, at: now))
        } else if outcome.provesAccount {
            core.machine.throttle.answered(concurrency: handedOver.concurrency, at: now)
        }
    }

    private func end(
        _ job: ClaimedJob, _ outcome: UnsentOutcome, _ why: FailureCause, delay: Instant.Duration = .seconds(0),
        holdKey: String? = nil, span: TraceContext?
    ) {
        jobs.handedOver.wasNotSent(job.id)
        recorder.end(
            UnsentEnd(
                job: job.id, attempt: job.attempt, lease: job.leaseEnd, outcome, delay: delay,
                errorCode: why.code.map(Int32.init(clamping:)),
                error: Sentence.whole(why.error), remedy: Sentence.whole(why.remedy),
                errorClass: why.errorClass?.rawValue, holdKey: holdKey))
        core.log.debug(
            "a send was not accepted",
            metadata: [
                LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)", LogKeys.outcome: "\(outcome.rawValue)",
                LogKeys.errorCode: "\(why.code.map(String.init) ?? "none")", LogKeys.reason: "\(why.error)",
            ].joined(to: span))
    }

    /// What an answer means for the worker and not for its job alone.
    private func apply(_ disposition: Disposition, _ outcome: OTP.Outcome, at now: Instant) {
        switch disposition.effect {
        case .pause(let scope, let why) where scope == .worker || scope == .sender:
            core.announce(
                core.machine.paused(
                    .init(words: Sentence.whole(why.error), remedy: Sentence.whole(why.remedy)), at: now))
        // `throttle` has applied it.
        case .throttle: break
        case .pause, nil: reached(outcome, at: now)
        }
        core.tally.twilioState =
            outcome.isNoDescriptor
            ? "no file descriptor is free"
            : outcome.outage.map { $0.isBlocked ? "blocked on the way" : "unreachable" }
                ?? core.machine.throttle.words
        if disposition.isAlert, let count = limits.alert.count(at: now) {
            core.log.error(
                "Twilio gave an error code that otp.error_classes does not list",
                metadata: [
                    LogKeys.reason: "\(Words.of(disposition.step))",
                    LogKeys.remedy: "Add the code to otp.error_classes.", LogKeys.count: "\(count)",
                ])
        }
    }

    /// Learns from an outcome whether Twilio can be reached.
    private func reached(_ outcome: OTP.Outcome, at now: Instant) {
        if outcome.provesAccount {
            core.announce(core.machine.reachedTwilio(at: now))
        } else if outcome.isNoDescriptor, core.machine.noDescriptor(at: now) {
            if let count = limits.noDescriptor.count(at: now), let outage = outcome.outage {
                core.log.warning(
                    "no file descriptor is free for a connection; sending fewer requests at a time",
                    metadata: [
                        LogKeys.reason: "\(outage.explanation)", LogKeys.remedy: "\(outage.remedy)",
                        LogKeys.count: "\(count)",
                    ])
            }
            core.announce(core.machine.probeInconclusive(at: now))
        } else if let outage = outcome.outage {
            core.announce(
                core.machine.unreachable(
                    .init(
                        words: Sentence.whole(outage.explanation), remedy: Sentence.whole(outage.remedy),
                        kind: outage.isBlocked ? .blocked : .outage), at: now))
        } else {
            core.announce(core.machine.probeInconclusive(at: now))
        }
    }
}
