/// The consequences of an outcome for the job and for the worker. Decided here and carried out by the caller.
public struct Disposition: Sendable, Hashable {
    /// The job's next step.
    public enum Step: Sendable, Hashable {
        case accepted(MessageSID, status: MessageStatus?)
        case failed(FailureCause)
        /// Back to `queued`, due after this.
        case retry(after: Duration, why: FailureCause)
        /// Back to `queued`, held by the pause in this disposition's effect until that pause ends.
        case hold(why: FailureCause)
        /// No retry fits into the code's life. The failure says why the last attempt was not sent.
        case expired(FailureCause)
        /// To be settled by lookups, and never sent again without them.
        case unknown(Outcome.Unclear)
    }

    /// The effect on the other jobs that wait.
    public enum Effect: Sendable, Hashable {
        case pause(Scope, why: FailureCause)
        /// Twilio accepts fewer requests than it gets: send fewer at a time or per second. Wait for `retryAfter` if
        /// Twilio gave one.
        case throttle(retryAfter: Duration?)
    }

    /// What a pause applies to. The dispatcher knows the job's channel, sender, country and prefix.
    public enum Scope: String, Sendable, Hashable, CaseIterable {
        case worker, sender, channel, country, prefix
    }

    public let step: Step
    public let effect: Effect?
    /// Whether an operator should act: the error code has no usable class.
    public let isAlert: Bool

    init(_ step: Step, effect: Effect? = nil, isAlert: Bool = false) {
        self.step = step
        self.effect = effect
        self.isAlert = isAlert
    }
}

/// Decides dispositions, by the rows of `otp.error_classes`.
public struct DispositionRule: Sendable {
    public var classes: ErrorClasses
    public var backoff: Backoff

    public init(classes: ErrorClasses, backoff: Backoff = Backoff()) {
        self.classes = classes
        self.backoff = backoff
    }

    /// Decides on `attempt` (the first is 1) of a job on `channel` whose code has `lifeLeft`.
    ///
    /// A channel that cannot be used fails its job at once, so that the next step of the route begins. On any channel
    /// but SMS, a sender that may not send counts as such a channel. A sender's pause would stop SMS as well.
    public func decide(
        _ outcome: Outcome, attempt: Int, lifeLeft: Duration, channel: Channel = .sms,
        using random: inout some RandomNumberGenerator
    ) -> Disposition {
        func again(_ why: FailureCause, retryAfter: Duration? = nil) -> Disposition.Step {
            switch backoff.decide(attempt: attempt, lifeLeft: lifeLeft, retryAfter: retryAfter, using: &random) {
            case .retry(let delay): .retry(after: delay, why: why)
            case .expire: .expired(why)
            }
        }

        // A pause loses no job: its jobs wait until they expire.
        func held(_ why: FailureCause) -> Disposition.Step {
            lifeLeft > backoff.minimumLife ? .hold(why: why) : .expired(why)
        }

        switch outcome {
        case .accepted(let sid, let status):
            return Disposition(.accepted(sid, status: status))
        case .unknown(let reason):
            return Disposition(.unknown(reason))
        case .notSent(let reason, let retryAfter):
            let why = FailureCause(
                code: nil, errorClass: nil, error: reason.explanation, remedy: reason.remedy)
            let step = again(why, retryAfter: retryAfter)
            switch reason {
            case .throttled: return Disposition(step, effect: .throttle(retryAfter: retryAfter))
            case .nameLookup, .connect, .tls, .bodyNotSent, .leaseTooShort, .noDescriptor, .blocked, .mailServer:
                return Disposition(step)
            }
        case .rejected(let rejection):
            return switch rejection.effect {
            case .fail: Disposition(.failed(rejection.why))
            case .retry: Disposition(again(rejection.why))
            case .throttle: Disposition(again(rejection.why), effect: .throttle(retryAfter: nil))
            case .pauseChannel: Disposition(.failed(rejection.why), effect: .pause(.channel, why: rejection.why))
            }
        case .refused(let refused):
            let entry = classes.entry(code: refused.code, httpStatus: refused.httpStatus)
            let why = FailureCause(
                code: refused.code, errorClass: entry.errorClass, error: entry.explanation, remedy: entry.remedy)
            // A 401 pauses the worker whatever the error code says, because Twilio would refuse every further request
            // too.
            guard refused.httpStatus != 401 else { return Disposition(again(why), effect: .pause(.worker, why: why)) }
            switch entry.errorClass {
            case .pauseWorker: return Disposition(again(why), effect: .pause(.worker, why: why))
            case .pauseSender where channel == .sms:
                return Disposition(again(why), effect: .pause(.sender, why: why))
            // These codes are of WhatsApp and calls. A text message that gets one is no reason to hold all others.
            case .pauseChannel where channel == .sms: return Disposition(.failed(why))
            case .pauseSender, .pauseChannel: return Disposition(.failed(why), effect: .pause(.channel, why: why))
            // Twilio permits calls to a country apart from messages, so messages there go on.
            case .pauseCountry where channel == .call: return Disposition(.failed(why))
            case .pauseCountry: return Disposition(held(why), effect: .pause(.country, why: why))
            case .permanentRecipient, .badJob, .content: return Disposition(.failed(why))
            case .throttle: return Disposition(again(why), effect: .throttle(retryAfter: nil))
            case .ambiguous: return Disposition(.unknown(.ambiguousCode(refused.code)))
            case .retrySafe: return Disposition(again(why))
            case .oneResend: return Disposition(attempt > 1 ? .failed(why) : again(why))
            case .fraudHold: return Disposition(held(why), effect: .pause(.prefix, why: why))
            // `ignore` is not a class for refusals. The row is wrong, so the operator is alerted.
            case .ignore: return Disposition(.failed(why), isAlert: true)
            case nil: return Disposition(.failed(why), isAlert: true)
            }
        }
    }
}
