/// What happens to a job, and to the worker, after an outcome. Decided here, done elsewhere.
public struct Disposition: Sendable, Hashable {
    /// The job's next step.
    public enum Step: Sendable, Hashable {
        case accepted(MessageSID, status: MessageStatus?)
        case failed(Failure)
        /// Back to `queued`, due after this.
        case retry(after: Duration, why: Failure)
        /// Back to `queued`, held by the pause that is this disposition's effect: it waits for the pause's end.
        case hold(why: Failure)
        /// No retry fits into the code's life; why it was not sent before.
        case expired(Failure)
        /// To be resolved; never blindly sent again.
        case unknown(Outcome.Unclear)
    }

    /// Why a job is where it is, in words for `otp.delivery_status`.
    public struct Failure: Sendable, Hashable {
        /// Twilio's error code, where it gave one.
        public let code: Int?
        public let errorClass: ErrorClass?
        /// What happened.
        public let error: String
        /// What to do.
        public let remedy: String

        public init(code: Int?, errorClass: ErrorClass?, error: String, remedy: String) {
            self.code = code
            self.errorClass = errorClass
            self.error = error
            self.remedy = remedy
        }
    }

    /// What is held back, of what else waits.
    public enum Effect: Sendable, Hashable {
        case pause(Scope, why: Failure)
        /// Twilio takes less than it was given: send less at a time or per second, and wait this long where Twilio said so.
        case throttle(retryAfter: Duration?)
    }

    /// What a pause holds. The dispatcher knows which sender, country and prefix the job had.
    public enum Scope: String, Sendable, Hashable, CaseIterable {
        case worker, sender, country, prefix
    }

    public let step: Step
    public let effect: Effect?
    /// Whether somebody should look: a code that nobody has classified.
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

    /// Decides on `attempt` (the first is 1) of a job whose code has `lifeLeft`.
    public func decide(
        _ outcome: Outcome, attempt: Int, lifeLeft: Duration, using random: inout some RandomNumberGenerator
    ) -> Disposition {
        func again(_ why: Disposition.Failure, retryAfter: Duration? = nil) -> Disposition.Step {
            switch backoff.decide(attempt: attempt, lifeLeft: lifeLeft, retryAfter: retryAfter, using: &random) {
            case .retry(let delay): .retry(after: delay, why: why)
            case .expire: .expired(why)
            }
        }

        // A pause loses nothing: its jobs wait until they expire.
        func held(_ why: Disposition.Failure) -> Disposition.Step {
            lifeLeft > backoff.minimumLife ? .hold(why: why) : .expired(why)
        }

        switch outcome {
        case .accepted(let sid, let status):
            return Disposition(.accepted(sid, status: status))
        case .unknown(let reason):
            return Disposition(.unknown(reason))
        case .notSent(let reason, let retryAfter):
            let why = Disposition.Failure(
                code: nil, errorClass: nil, error: reason.explanation, remedy: reason.remedy)
            let step = again(why, retryAfter: retryAfter)
            switch reason {
            case .throttled: return Disposition(step, effect: .throttle(retryAfter: retryAfter))
            case .nameLookup, .connect, .tls, .bodyNotSent, .leaseTooShort, .noDescriptor, .blocked:
                return Disposition(step)
            }
        case .refused(let refused):
            let entry = classes.entry(code: refused.code, httpStatus: refused.httpStatus)
            let why = Disposition.Failure(
                code: refused.code, errorClass: entry.errorClass, error: entry.explanation, remedy: entry.remedy)
            // 401 stops the worker whatever its code says: every further request would be refused too.
            guard refused.httpStatus != 401 else { return Disposition(again(why), effect: .pause(.worker, why: why)) }
            switch entry.errorClass {
            case .pauseWorker: return Disposition(again(why), effect: .pause(.worker, why: why))
            case .pauseSender: return Disposition(again(why), effect: .pause(.sender, why: why))
            case .pauseCountry: return Disposition(held(why), effect: .pause(.country, why: why))
            case .permanentRecipient, .badJob, .content: return Disposition(.failed(why))
            case .throttle: return Disposition(again(why), effect: .throttle(retryAfter: nil))
            case .ambiguous: return Disposition(.unknown(.ambiguousCode(refused.code)))
            case .retrySafe: return Disposition(again(why))
            case .oneResend: return Disposition(attempt > 1 ? .failed(why) : again(why))
            case .fraudHold: return Disposition(held(why), effect: .pause(.prefix, why: why))
            // Not a class for refusals: the row is mistaken, so somebody should look.
            case .ignore: return Disposition(.failed(why), isAlert: true)
            case nil: return Disposition(.failed(why), isAlert: true)
            }
        }
    }
}
