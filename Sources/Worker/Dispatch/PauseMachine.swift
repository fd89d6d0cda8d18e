public import EventLoop

/// Whether this worker sends, and if not, why and until when. Pure.
///
/// A pause is entered by an answer of Twilio's that no retry of the same job would change (bad credentials, a suspended
/// account, a sender that is not allowed). It loses nothing: jobs wait. It ends by itself: at growing intervals one job is
/// sent as a probe, and what becomes of it decides.
public struct PauseMachine: Sendable {
    /// Why a worker is paused, in words for a person.
    public struct Reason: Sendable, Equatable {
        /// What happened and why.
        public var words: String
        /// What to do about it.
        public var remedy: String

        public init(words: String, remedy: String) {
            self.words = words
            self.remedy = remedy
        }
    }

    public enum State: Sendable, Equatable {
        /// Sends; becomes `waiting` by a pause.
        case open
        /// Sends nothing before `probeAt`; becomes `probing` then.
        case waiting(Reason, since: Instant, probeAt: Instant, probes: Int)
        /// One job is on its way; becomes `open` when it gets through, `waiting` when it meets the pause again.
        case probing(Reason, since: Instant, probes: Int)
    }

    /// What changed, for the log and the status row.
    public enum Change: Sendable, Equatable {
        case none
        case paused(Reason)
        case resumed(after: Instant.Span)
    }

    static let firstProbe = Instant.Span.seconds(5)
    static let longestWait = Instant.Span.seconds(60)

    public private(set) var state: State = .open

    public init() {}

    /// The reason, while paused.
    public var reason: Reason? {
        switch state {
        case .open: nil
        case .waiting(let reason, _, _, _), .probing(let reason, _, _): reason
        }
    }

    /// How many jobs may be taken at `now`: no bound when open, one as a probe, none while waiting.
    public func allowance(at now: Instant) -> Allowance {
        switch state {
        case .open: .unbounded
        case .waiting(_, _, let probeAt, _): now >= probeAt ? .probe : .none(until: probeAt)
        case .probing: .none(until: nil)
        }
    }

    public enum Allowance: Sendable, Equatable {
        case unbounded
        case probe
        case none(until: Instant?)
    }

    /// A probe has been claimed.
    public mutating func probeTaken() {
        switch state {
        case .waiting(let reason, let since, _, let probes):
            state = .probing(reason, since: since, probes: probes + 1)
        case .open, .probing: break
        }
    }

    /// The probe ended without saying anything about the pause (no job was due, or the line was down): tries again soon.
    public mutating func probeInconclusive(at now: Instant) {
        switch state {
        case .probing(let reason, let since, let probes):
            state = .waiting(reason, since: since, probeAt: now + Self.firstProbe, probes: max(0, probes - 1))
        case .open, .waiting: break
        }
    }

    /// An answer demanded a pause.
    public mutating func pause(_ reason: Reason, at now: Instant) -> Change {
        switch state {
        case .open:
            state = .waiting(reason, since: now, probeAt: now + Self.firstProbe, probes: 0)
            return .paused(reason)
        case .waiting: return .none  // Requests that were on their way when it began: one reason is enough.
        case .probing(let old, let since, let probes):
            let doubled = Instant.Span(seconds: Self.firstProbe.seconds * Double(1 << min(probes, 6)))
            let wait = min(Self.longestWait, doubled)
            state = .waiting(reason, since: since, probeAt: now + wait, probes: probes)
            return reason == old ? .none : .paused(reason)
        }
    }

    /// Twilio took a message, or refused one for a reason of its own: the account works.
    public mutating func gotThrough(at now: Instant) -> Change {
        switch state {
        case .open, .waiting: return .none  // While waiting, an older request may still get through: the probe decides.
        case .probing(_, let since, _):
            state = .open
            return .resumed(after: now - since)
        }
    }
}

extension PauseMachine {
    /// Whether a claimed job may go out: when open, and as the probe.
    var mayHandOver: Bool {
        switch state {
        case .open, .probing: true
        case .waiting: false
        }
    }

    var isProbing: Bool {
        switch state {
        case .probing: true
        case .open, .waiting: false
        }
    }
}
