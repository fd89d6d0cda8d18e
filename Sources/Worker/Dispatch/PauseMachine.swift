import EventLoop

/// Whether this worker sends, and if not, why and until when. Pure.
///
/// A pause is entered by an answer of Twilio's that no retry of the same job would change (bad credentials, a suspended
/// account, a sender that is not allowed), by answers that Twilio takes nothing for now, or by an outage: several sends
/// in a row that did not reach Twilio. It loses nothing: jobs wait. It ends by itself: one job is sent as a probe, and
/// its result decides. In an outage a probe would cost its job an unknown outcome, so a connectivity check goes first:
/// a request that changes nothing, and that may be repeated as often as it takes.
struct PauseMachine: Sendable {
    /// Why a worker is paused, in words for a person.
    struct Reason: Sendable, Equatable {
        /// What happened and why.
        var words: String
        /// What to do about it.
        var remedy: String
        var kind: Kind

        init(words: String, remedy: String, kind: Kind = .refusal) {
            self.words = words
            self.remedy = remedy
            self.kind = kind
        }

        /// Whether this reason is logged after `other` was. A difference that comes with each answer (a time, a proxy's
        /// name) is not.
        func isNews(after other: Reason) -> Bool {
            switch (kind, other.kind) {
            case (.throttled, .throttled), (.blocked, .blocked): false
            default: self != other
            }
        }
    }

    /// What a pause waits for.
    enum Kind: Sendable, Equatable {
        /// Twilio refuses for a reason that no retry would change. Probes at intervals that double to a minute.
        case refusal
        /// Twilio does not answer. A connectivity check goes before each probe.
        case outage
        /// Something other than Twilio refuses requests. A probe costs nothing, and nothing else can tell: a firewall
        /// may pass connectivity checks and refuse messages.
        case blocked
        /// Twilio takes nothing for now. Probes at intervals of this length.
        case throttled(every: Instant.Duration)
    }

    enum State: Sendable, Equatable {
        /// Sends; becomes `waiting` by a pause.
        case open
        /// Sends nothing before `probeAt`; becomes `probing` then, or `checking` in an outage.
        case waiting(Reason, since: Instant, probeAt: Instant, probes: Int)
        /// A connectivity check is on its way; becomes `answered`, or `waiting` again.
        case checking(Reason, since: Instant, checks: Int)
        /// The check was answered; becomes `probing`.
        case answered(Reason, since: Instant)
        /// One job is on its way; becomes `open` when Twilio accepts it, `waiting` when the cause of the pause is still
        /// there.
        case probing(Reason, since: Instant, probes: Int)
    }

    /// What changed, for the log and the status row.
    enum Change: Sendable, Equatable {
        case none
        case paused(Reason)
        case resumed(after: Instant.Duration)
    }

    static let firstProbe = Instant.Duration.seconds(5)
    static let longestWait = Instant.Duration.seconds(60)
    static let firstCheck = Instant.Duration.milliseconds(500)
    /// With what a connectivity check itself may take (`Times.connectivityCheck`), an outage is noticed to be over
    /// within four seconds.
    private static let checkBackoff = ExponentialBackoff(first: firstCheck, longest: .seconds(2))
    /// After a probe that failed although a connectivity check was answered: each costs its job an unknown outcome.
    private static let outageBackoff = ExponentialBackoff(first: firstCheck, longest: .seconds(4))
    private static let refusalBackoff = ExponentialBackoff(first: firstProbe, longest: longestWait)
    /// So many sends in a row that did not reach Twilio are an outage.
    static let outagesInARow = 8

    private(set) var state: State = .open
    /// Sends in a row that did not reach Twilio.
    private var outages = 0
    /// Probes of this outage that failed.
    private var failedProbes = 0
    /// A probe was asked for (`probeNow`), and none has told anything since.
    private var isProbeWanted = false

    init() {}

    /// The reason, while paused.
    var reason: Reason? {
        switch state {
        case .open: nil
        case .waiting(let reason, _, _, _), .checking(let reason, _, _), .answered(let reason, _),
            .probing(let reason, _, _):
            reason
        }
    }

    /// Since when, while paused.
    var since: Instant? {
        switch state {
        case .open: nil
        case .waiting(_, let since, _, _), .checking(_, let since, _), .answered(_, let since),
            .probing(_, let since, _):
            since
        }
    }

    /// When the next probe or check goes; nil when not paused, and while one is under way.
    var nextProbe: Instant? {
        switch state {
        case .waiting(_, _, let probeAt, _): probeAt
        case .open, .checking, .answered, .probing: nil
        }
    }

    /// What may be done at `now`: jobs taken without bound when open, one as a probe, a connectivity check, nothing
    /// while waiting.
    func allowance(at now: Instant) -> Allowance {
        switch state {
        case .open: return .unbounded
        case .waiting(let reason, _, let probeAt, _):
            guard now >= probeAt else { return .none(until: probeAt) }
            return reason.kind == .outage ? .connectivityCheck : .probe
        case .answered: return .probe
        case .checking, .probing: return .none(until: nil)
        }
    }

    enum Allowance: Sendable, Equatable {
        case unbounded
        case probe
        case connectivityCheck
        case none(until: Instant?)
    }

    /// A connectivity check has begun.
    mutating func connectivityCheckBegan() {
        switch state {
        case .waiting(let reason, let since, _, let probes):
            state = .checking(reason, since: since, checks: probes + 1)
        case .open, .checking, .answered, .probing: break
        }
    }

    /// A connectivity check has ended, with an answer of whatever kind or without one.
    mutating func connectivityCheckEnded(isAnswered: Bool, at now: Instant) {
        switch state {
        case .checking(let reason, let since, let checks):
            state =
                isAnswered
                ? .answered(reason, since: since)
                : .waiting(
                    reason, since: since, probeAt: now + Self.checkBackoff.delay(after: checks + 1), probes: checks)
        case .open, .waiting, .answered, .probing: break
        }
    }

    /// A probe has been claimed.
    mutating func probeTaken() {
        switch state {
        case .waiting(let reason, let since, _, let probes):
            state = .probing(reason, since: since, probes: probes + 1)
        case .answered(let reason, let since): state = .probing(reason, since: since, probes: failedProbes + 1)
        case .open, .checking, .probing: break
        }
    }

    /// The probe ended without saying anything about the pause (no job was due, or it went no further). After an outage
    /// the answered check is enough then; else it is tried again soon.
    mutating func probeInconclusive(at now: Instant) -> Change {
        switch state {
        case .probing(let reason, let since, _) where reason.kind == .outage: return open(since: since, at: now)
        case .probing(let reason, let since, let probes):
            let wait = isProbeWanted ? .seconds(0) : Self.firstProbe
            state = .waiting(reason, since: since, probeAt: now + wait, probes: max(0, probes - 1))
        case .open, .waiting, .checking, .answered: break
        }
        return .none
    }

    /// The cause of this pause may have been corrected: the next job that is due goes as a probe.
    mutating func probeNow(at now: Instant) {
        switch state {
        case .waiting(let reason, let since, _, _):
            isProbeWanted = true
            state = .waiting(reason, since: since, probeAt: now, probes: 0)
        case .probing: isProbeWanted = true
        case .open, .checking, .answered: break
        }
    }

    /// An answer demanded a pause.
    mutating func pause(_ reason: Reason, at now: Instant) -> Change {
        outages = 0
        switch state {
        case .open:
            state = .waiting(reason, since: now, probeAt: now + Self.wait(reason.kind, afterProbes: 0), probes: 0)
            return .paused(reason)
        // Requests that were on their way when it began: one reason is enough.
        case .waiting, .checking, .answered: return .none
        case .probing(let old, let since, let probes):
            let isOutage = reason.kind == .outage
            failedProbes = isOutage ? probes : 0
            state = .waiting(
                reason, since: since, probeAt: now + Self.wait(reason.kind, afterProbes: probes),
                probes: isOutage ? 0 : probes)
            // If the probe was asked for, its result is logged, even if the reason is the same.
            let isNews = isProbeWanted || reason.isNews(after: old)
            isProbeWanted = false
            return isNews ? .paused(reason) : .none
        }
    }

    /// A send did not reach Twilio. As the probe of an outage, or as one of several in a row, it begins a pause.
    mutating func unreachable(_ reason: Reason, at now: Instant) -> Change {
        outages += 1
        switch state {
        case .open: return outages >= Self.outagesInARow ? pause(reason, at: now) : .none
        case .probing(let old, _, _):
            return old.kind == .refusal ? probeInconclusive(at: now) : pause(reason, at: now)
        case .waiting, .checking, .answered: return .none
        }
    }

    /// Twilio answered 429 or the like; `takesNothing` says whether it accepts nothing at all for now, by all that is
    /// known. `retryAfter` is how long it asked to wait: it is asked again after a minute at most.
    mutating func throttled(
        retryAfter: Instant.Duration?, takesNothing: Bool, at now: Instant
    ) -> Change {
        outages = 0
        let reason = Reason.throttled(retryAfter: retryAfter)
        switch state {
        case .open: return takesNothing ? pause(reason, at: now) : .none
        case .probing(let old, _, _):
            switch old.kind {
            case .throttled, .blocked: return pause(reason, at: now)
            // Twilio answers: the outage is over.
            case .outage: return takesNothing ? pause(reason, at: now) : probeInconclusive(at: now)
            // A 429 says nothing about the refusal that began the pause.
            case .refusal: return probeInconclusive(at: now)
            }
        case .waiting, .checking, .answered: return .none
        }
    }

    /// Twilio took a message, or refused one for a reason of its own: the account works.
    mutating func reachedTwilio(at now: Instant) -> Change {
        outages = 0
        switch state {
        // Others of the same moment were taken: not all is refused, so the probe need not wait for long.
        case .waiting(let reason, let since, let probeAt, let probes):
            if case .throttled = reason.kind {
                state = .waiting(
                    reason, since: since, probeAt: min(probeAt, now + Self.firstProbe), probes: probes)
            }
            return .none
        // An older request may still get through: the probe decides.
        case .open, .checking, .answered: return .none
        case .probing(_, let since, _): return open(since: since, at: now)
        }
    }

    private mutating func open(since: Instant, at now: Instant) -> Change {
        state = .open
        outages = 0
        failedProbes = 0
        isProbeWanted = false
        return .resumed(after: now - since)
    }

    /// From one probe (or check) to the next.
    private static func wait(_ kind: Kind, afterProbes probes: Int) -> Instant.Duration {
        switch kind {
        case .refusal: refusalBackoff.delay(after: probes + 1)
        case .outage, .blocked: outageBackoff.delay(after: probes + 1)
        case .throttled(let every): every
        }
    }
}

extension PauseMachine {
    /// Whether a claimed job may go out: when open, and as the probe.
    var mayHandOver: Bool {
        switch state {
        case .open, .probing: true
        case .waiting, .checking, .answered: false
        }
    }

    var isProbing: Bool {
        switch state {
        case .probing: true
        case .open, .waiting, .checking, .answered: false
        }
    }
}

extension PauseMachine.Reason {
    /// Twilio takes nothing for now, and asked to wait for `retryAfter`.
    static func throttled(retryAfter: Instant.Duration?) -> Self {
        let every = min(max(retryAfter ?? .seconds(0), PauseMachine.firstProbe), PauseMachine.longestWait)
        let asked = retryAfter.map { " and asked to wait for \(words($0))" } ?? " to every request"
        return Self(
            words: "Twilio answered 429 (too many requests)\(asked).",
            remedy:
                "Wait: otpd tries again at least once a minute. If it lasts, lower OTPD_RATE_PER_SECOND or OTPD_MAX_IN_FLIGHT, ask Twilio for a higher rate, or look for a proxy that limits requests.",
            kind: .throttled(every: every))
    }

    private static func words(_ span: Instant.Duration) -> String {
        let seconds = Int(span.seconds.rounded(.up))
        return switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        default: "\(seconds / 3600) h"
        }
    }
}
