import EventLoop
import HTTP
import Logging
import OTP
import Queue
import Twilio

/// The path of one send: plain calls on the loop, no string, no hop.
extension Dispatcher {
    /// Hands over what may go now.
    func pump() {
        let now = Instant.now()
        if !parked.isEmpty { unpark(at: now) }
        while !waiting.isEmpty, machine.pause.mayHandOver, machine.mayHandOver(at: now) {
            guard let next = waiting.popFirst() else { break }
            handOver(next, at: now)
        }
        if machine.pause.reason != nil, !machine.pause.isProbing { releaseWaiting() }
        awaitToken()
        changed.signal()
    }

    /// Hands over what was parked, as far as its senders' turns have come.
    private func unpark(at now: Instant) {
        for sender in parked.keys {
            while machine.pause.mayHandOver, machine.mayHandOver(at: now), machine.rates.mayUnpark(sender, at: now),
                let next = parked[sender]?.popFirst()
            {
                machine.unparked(sender)
                handOver(next, at: now, isItsTurn: true)
            }
            if parked[sender]?.isEmpty == true { parked[sender] = nil }
        }
    }

    /// Sends one job, or ends it where it can't be sent; where its sender's turn has not come, it is parked or given back.
    private func handOver(_ next: WaitingJob, at now: Instant, isItsTurn: Bool = false) {
        let job = next.job
        if let death = job.death {
            return drop(next, .canceled, error: death.words)
        }
        // Twilio's shortest ValidityPeriod is a second.
        guard now + .seconds(1) < next.death else {
            return drop(next, .expired, error: "Its code expired before it could be sent.", remedy: Words.newCode)
        }
        guard next.fitsLease(at: now) else { return drop(next, .release) }
        guard let code = job.code else {
            let remedy =
                "Set OTPD_SECRET to the secret of the backend's sessions (OTPD_SECRET_PREVIOUS while rotating)."
            if let count = sealedOtherwise.count(at: now) {
                log.error(
                    "codes are sealed under another secret: their jobs wait",
                    metadata: [LogKeys.count: "\(count)", LogKeys.remedy: "\(remedy)"])
            }
            return drop(
                next, .retry, delay: .seconds(5), error: "Its code is sealed under another secret.", remedy: remedy)
        }
        let recipient: PhoneNumber
        switch job.recipient {
        case .success(let number): recipient = number
        case .failure(let refusal):
            return drop(
                next, .failed, error: Words.sentence(refusal.explanation), remedy: Words.sentence(refusal.remedy),
                errorClass: "invalid_number")
        }
        if let pause = pauses.pause(holding: recipient, of: job.country, butFor: job.probeOf) {
            return drop(
                next, .hold, error: "It waits: \(pause.words)", remedy: pause.endRemedy, holdKey: pause.scope.name)
        }
        let template: Template
        do {
            template = try templates.template(purpose: job.purpose, locale: job.locale)
        } catch {
            // The database takes no verification without a text: this copy of the texts is old, or the text is gone.
            catalogChanged()
            return drop(
                next, .retry, delay: .seconds(2), error: Words.sentence("\(error)"),
                remedy: "Insert or mend the text in otp.templates: the job is tried again until its code expires.")
        }
        let form: CreateMessage
        do {
            form = try senders.form(country: job.country)
        } catch {
            // The table refuses such a sender: it was written around its trigger, so perhaps it is mended so too.
            catalogChanged()
            return drop(
                next, .retry, delay: .seconds(2), error: Words.sentence("\(error)"),
                remedy: CountrySenders.BadRow.remedy)
        }
        if machine.rates.hasSenders, !isItsTurn {
            let sender = form.sender.text
            switch machine.turn(of: sender, at: now) {
            case .now: break
            case .soon: return parked[sender, default: WaitingQueue()].append(next)
            case .later(let delay):
                machine.schedule.expect(at: now + delay + .milliseconds(50))
                return drop(
                    next, .deferred, delay: delay, error: "It waits for its turn: its sender's rate is limited.",
                    remedy: "Nothing; or raise the sender's rate in otp.sender_rates.",
                    holdKey: sender, rate: machine.rates.rate(of: sender))
            }
        }
        let lifeLeft = next.lifeLeft(at: now)
        body.removeAll(keepingCapacity: true)
        template.render(into: &body, app: appName, code: code, minutes: Template.minutes(lifeLeft: lifeLeft))
        guard MessageLength.fits(utf8: body) else {
            wipeBody()
            return drop(
                next, .failed,
                error: "Its text is longer than the \(MessageLength.limit) characters that Twilio takes.",
                remedy:
                    "Shorten the text for \(job.purpose), \(job.locale) in otp.templates: {app} may be in it often.",
                errorClass: ErrorClass.badJob.rawValue)
        }
        machine.handedOver(from: form.sender.text, at: now)
        handedOver.began(job.id, at: now)
        next.isHandedOver(at: now, concurrency: machine.inFlight, sender: form.sender.text)
        let tag = freeTags.popLast() ?? sending.count
        if tag == sending.count { sending.append(next) } else { sending[tag] = next }
        http.post(messages, tag: tag, leaseEnd: next.trustedUntil) { buffer in
            // Refused only below a second of life: ruled out above.
            let isWritten = form.write(
                into: &buffer, to: recipient, body: body.span, lifeLeft: lifeLeft, job: job.id, attempt: job.attempt)
            precondition(isWritten, "a message with less than a second to live was handed over")
        }
        wipeBody()
    }

    /// Ends a job that was claimed and not handed over.
    func drop(
        _ next: WaitingJob, _ outcome: UnsentOutcome, delay: Instant.Span = .seconds(0),
        age: Instant.Span = .seconds(0), error: String? = nil, remedy: String? = nil, errorClass: String? = nil,
        holdKey: String? = nil, rate: Double = 0
    ) {
        let now = Instant.now()
        announce(machine.dropped(at: now))
        if next.job.isQuarantined { quarantined -= 1 }
        if outcome == .failed { counters.failed += 1 }
        if outcome == .retry { machine.schedule.expect(at: now + delay + .milliseconds(50)) }
        unsent.append(
            UnsentEnd(
                job: next.job.id, attempt: next.job.attempt, lease: next.job.leaseEnd, outcome, delay: delay, age: age,
                error: error, remedy: remedy, errorClass: errorClass, holdKey: holdKey, rate: rate))
        ends.signal()
    }

    /// Gives back what was claimed and not handed over.
    func releaseWaiting() {
        while let next = waiting.popFirst() { drop(next, .release) }
        for sender in parked.keys {
            while let next = parked[sender]?.popFirst() {
                machine.unparked(sender)
                drop(next, .release)
            }
        }
        parked = [:]
    }

    /// The code leaves memory with the body it was written into.
    private func wipeBody() {
        for index in body.indices { body[index] = 0 }
        body.removeAll(keepingCapacity: true)
    }

    // MARK: What came back

    /// Every POST that ended in this turn.
    func completed(_ completions: [Completion]) {
        let now = Instant.now()
        for completion in completions {
            guard let sent = sending[completion.tag] else { continue }
            sending[completion.tag] = nil
            freeTags.append(completion.tag)
            machine.sendEnded(at: now)
            let outcome = OTP.Outcome(completion, recipient: try? sent.job.recipient.get())
            if outcome == .unknown(.foreignAnswer) { http.distrustConnections() }
            if case .response(_, _, _, let seen) = completion.outcome {
                settle(sent, outcome, seenAtATime: seen, at: now)
            } else {
                settle(sent, outcome, seenAtATime: nil, at: now)
            }
            // What was said to credentials of before does not hold up those of now.
            if sent.handedOver.at < credentialsSince { machine.probeNow(at: now) }
        }
        pump()
        ends.signal()
    }

    private func settle(_ sent: WaitingJob, _ outcome: OTP.Outcome, seenAtATime: Int?, at now: Instant) {
        let job = sent.job
        if job.isQuarantined { quarantined -= 1 }
        let disposition = rule.decide(
            outcome, attempt: Int(job.tries), lifeLeft: sent.lifeLeft(at: now), using: &random)
        switch disposition.step {
        case .accepted(let sid, let status):
            counters.accepted += 1
            messageAccepted()
            if let probed = job.probeOf { endPause(probed) }
            latency.add(microseconds: (job.age + (now - sent.claimedAt)).nanoseconds / 1000)
            let message = AcceptedMessage(
                job: job.id, attempt: job.attempt, verification: job.verificationID, requestedAt: job.requestedAt,
                place: sent.claimedAt > recordsSince ? job.place : nil, sid: sid, status: status ?? .queued,
                sender: sent.handedOver.sender)
            handedOver.wasAccepted(message, at: now)
            accepted.append(message)
        case .failed(let why):
            counters.failed += 1
            end(job, .failed, why)
        case .expired(let why):
            end(job, .expired, why)
        case .retry(let delay, let why):
            let delay = Instant.Span(delay)
            machine.schedule.expect(at: now + delay + .milliseconds(50))
            end(job, .retry, why, delay: delay)
        case .hold(let why):
            end(job, .hold, why, holdKey: shared(disposition.effect, job)?.scope.name)
        case .unknown(let reason):
            counters.unknown += 1
            outcomeUnknown()
            handedOver.isUnknown(job, at: now)
            unsent.append(
                UnsentEnd(
                    job: job.id, attempt: job.attempt, lease: job.leaseEnd, .unknown,
                    delay: Instant.Span(ResolutionRule.earlyLooks[0]),
                    error: Words.sentence("\(reason.explanation): it may have been sent"),
                    remedy:
                        "Nothing: otpd looks for it at Twilio, and sends it again only where Twilio does not have it.",
                    errorClass: reason.name))
            if let count = unknowns.count(at: now) {
                log.warning(
                    "the outcome of a send is unknown",
                    metadata: [
                        LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)",
                        LogKeys.reason: "\(reason.explanation)", LogKeys.count: "\(count)",
                    ])
            }
        }
        if let pause = shared(disposition.effect, job) { beginPause(pause) }
        throttle(sent, disposition.effect, outcome, seenAtATime, at: now)
        apply(disposition, outcome, at: now)
    }

    /// What an answer says of how much Twilio takes.
    private func throttle(
        _ sent: WaitingJob, _ effect: Disposition.Effect?, _ outcome: OTP.Outcome, _ seen: Int?, at now: Instant
    ) {
        let handedOver = sent.handedOver
        if case .throttle(let retryAfter) = effect {
            announce(
                machine.throttled(
                    handedOverAt: handedOver.at, concurrency: handedOver.concurrency,
                    retryAfter: retryAfter.map { Instant.Span($0) }, seen: seen, at: now))
        } else if outcome.provesAccount {
            machine.throttle.answered(concurrency: handedOver.concurrency, at: now)
        }
    }

    private func end(
        _ job: ClaimedJob, _ outcome: UnsentOutcome, _ why: Disposition.Failure, delay: Instant.Span = .seconds(0),
        holdKey: String? = nil
    ) {
        handedOver.wasNotSent(job.id)
        unsent.append(
            UnsentEnd(
                job: job.id, attempt: job.attempt, lease: job.leaseEnd, outcome, delay: delay,
                errorCode: why.code.map(Int32.init(clamping:)),
                error: Words.sentence(why.error), remedy: Words.sentence(why.remedy),
                errorClass: why.errorClass?.rawValue, holdKey: holdKey))
        log.debug(
            "a send was not accepted",
            metadata: [
                LogKeys.sendJob: "\(job.id)", LogKeys.attempt: "\(job.attempt)", LogKeys.outcome: "\(outcome.rawValue)",
                LogKeys.errorCode: "\(why.code.map(String.init) ?? "none")", LogKeys.reason: "\(why.error)",
            ])
    }

    /// What an answer means for the worker and not for its job alone.
    private func apply(_ disposition: Disposition, _ outcome: OTP.Outcome, at now: Instant) {
        switch disposition.effect {
        case .pause(let scope, let why) where scope == .worker || scope == .sender:
            announce(
                machine.paused(
                    .init(words: Words.sentence(why.error), remedy: Words.sentence(why.remedy)), at: now))
        // `throttle` has applied it.
        case .throttle: break
        case .pause, nil:
            if outcome.provesAccount {
                announce(machine.gotThrough(at: now))
            } else if outcome.isNoDescriptor, machine.noDescriptor(at: now) {
                if let count = noDescriptors.count(at: now), let outage = outcome.outage {
                    log.warning(
                        "no file descriptor was free for a connection; fewer requests go at a time",
                        metadata: [
                            LogKeys.reason: "\(outage.explanation)", LogKeys.remedy: "\(outage.remedy)",
                            LogKeys.count: "\(count)",
                        ])
                }
                announce(machine.probeInconclusive(at: now))
            } else if let outage = outcome.outage {
                announce(
                    machine.metNobody(
                        .init(
                            words: Words.sentence(outage.explanation), remedy: Words.sentence(outage.remedy),
                            kind: outage.isBlocked ? .blocked : .outage), at: now))
            } else {
                announce(machine.probeInconclusive(at: now))
            }
        }
        twilioState =
            outcome.isNoDescriptor
            ? "no file descriptor is free"
            : outcome.outage.map { $0.isBlocked ? "blocked on the way" : "unreachable" } ?? machine.throttle.words
        if disposition.isAlert, let count = alerts.count(at: now) {
            log.error(
                "Twilio gave an error that no row of otp.error_classes names",
                metadata: [
                    LogKeys.reason: "\(Words.of(disposition.step))",
                    LogKeys.remedy: "Add the code to otp.error_classes.", LogKeys.count: "\(count)",
                ])
        }
    }

    /// Says that a pause began or ended.
    func announce(_ change: PauseMachine.Change) {
        switch change {
        case .none: break
        case .paused(let reason):
            log.error(
                "paused: nothing is sent, jobs wait",
                metadata: [LogKeys.reason: "\(reason.words)", LogKeys.remedy: "\(reason.remedy)"])
            stateChanged()
        case .resumed(let span):
            log.notice("resumed: Twilio takes messages again", metadata: [LogKeys.seconds: "\(Int(span.seconds))"])
            stateChanged()
        }
    }
}

extension ClaimedJob.Death {
    var words: String {
        switch self {
        case .deleted: "Its verification was deleted before it was sent."
        case .canceled: "Its verification was canceled before it was sent."
        case .verified: "Its code had been used before it was sent."
        case .replaced: "A newer code of the same subject and purpose had replaced it before it was sent."
        }
    }
}

enum Words {
    static let newCode = "Let the user ask for a new code."

    /// As a sentence of its own: the words of `otp.error_classes` are, those of this program are parts of one.
    static func sentence(_ words: String) -> String {
        guard let first = words.first else { return words }
        return first.uppercased() + words.dropFirst() + (words.hasSuffix(".") ? "" : ".")
    }

    static func of(_ step: Disposition.Step) -> String {
        switch step {
        case .accepted: "accepted"
        case .failed(let why), .retry(_, let why), .hold(let why), .expired(let why): why.error
        case .unknown(let reason): reason.explanation
        }
    }
}
