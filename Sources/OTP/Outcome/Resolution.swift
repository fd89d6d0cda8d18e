/// The result of one lookup: a search of Twilio's list of messages for a send whose outcome is unknown.
public enum Lookup: Sendable, Hashable {
    /// Twilio has it: its message, as listed.
    case found(MessageSID, MessageStatus)
    /// The whole list was read, and it is not there.
    case absent
    /// No conclusion: the list could not be fetched, could not be read to its end, or hides the texts.
    case unclear
}

/// The consequence of a lookup.
public enum ResolutionStep: Sendable, Hashable {
    /// Twilio has the message: the job ends as accepted.
    case adopt(MessageSID, MessageStatus)
    /// Still unknown: look up again after this time. `isCounted`: this lookup was one of those that a resend needs.
    case lookUpAgain(after: Duration, isCounted: Bool)
    /// Twilio does not have the message: the job goes back to `queued` with the same code.
    case resend
    /// Twilio does not have the message, and it is not sent again.
    case fail(FailureCause)
}

/// Decides about a send whose outcome is unknown. Pure.
///
/// The job is handed over again only after a grace and two lookups that did not find its message. A lookup before the
/// grace has ended may find the message and so spares the user the wait. If it finds nothing, that proves nothing. Once
/// the code has expired, one last lookup decides. Other evidence (a late answer, a callback) settles the job at any
/// time, without this rule.
public struct ResolutionRule: Sendable {
    /// From the moment after which nothing of the attempt can leave its worker until a missing message counts. The sum
    /// of a whole HTTP request (10 s), the socket's retransmissions (`TCP_USER_TIMEOUT`, 10 s), the lag of Twilio's
    /// list (15 s), and the skew of the database's clock across a failover (10 s).
    public static let grace = Duration.seconds(45)
    /// The wait between the two lookups that count.
    public static let secondLookup = Duration.seconds(15)
    /// How many lookups must have missed the message before it is sent again.
    public static let neededLookups = 2
    /// Ages of lookups before the grace has ended. In most cases Twilio has the message, and only its answer was
    /// lost.
    public static let earlyLookups: [Duration] = [.seconds(2), .seconds(15)]
    /// The wait after a lookup without a conclusion.
    public static let afterUnclear = Duration.seconds(10)
    /// How long after the code's expiry a message may still appear in the list. After that, a lookup that misses it
    /// ends the job, even before the grace has ended.
    public static let afterExpiry = Duration.seconds(15)
    /// How long after the code's expiry otpd still asks for a list that it cannot get.
    public static let longestWait = Duration.seconds(60)

    /// Whether to send a message again that Twilio does not have (`OTPD_RESEND_UNKNOWN`).
    public let resends: Bool

    public init(resends: Bool) { self.resends = resends }

    /// A job with an unknown outcome, as it was when the lookup began.
    public struct Subject: Sendable, Hashable {
        /// How long ago the last moment was at which the attempt could leave its worker, by the database's clock.
        public var age: Duration
        /// The counted lookups that have missed its message so far.
        public var lookups: Int
        /// Its claims that ended with their worker, without an outcome.
        public var lostClaims: Int
        /// How long ago its code expired; nil while the code is live.
        public var expiredFor: Duration?

        public init(age: Duration, lookups: Int, lostClaims: Int, expiredFor: Duration? = nil) {
            self.age = age
            self.lookups = lookups
            self.lostClaims = lostClaims
            self.expiredFor = expiredFor
        }
    }

    /// Decides after a lookup that began when the job was `subject`.
    public func decide(_ lookup: Lookup, _ subject: Subject) -> ResolutionStep {
        switch lookup {
        case .found(let sid, let status): return .adopt(sid, status)
        case .unclear:
            if let expiredFor = subject.expiredFor, expiredFor >= Self.longestWait { return .fail(Self.undecided) }
            return .lookUpAgain(after: Self.afterUnclear, isCounted: false)
        case .absent: break
        }
        if let expiredFor = subject.expiredFor {
            // Nothing is sent again, so finding the message is all that is left. One lookup decides that, however late
            // it comes.
            let left = min(Self.grace - subject.age, Self.afterExpiry - expiredFor)
            return left > .zero ? .lookUpAgain(after: left, isCounted: false) : .fail(Self.undecided)
        }
        guard subject.age >= Self.grace else {
            let next = Self.earlyLookups.first { $0 > subject.age } ?? Self.grace
            return .lookUpAgain(after: next - subject.age, isCounted: false)
        }
        guard subject.lookups + 1 >= Self.neededLookups else {
            return .lookUpAgain(after: Self.secondLookup, isCounted: true)
        }
        if let poison = Poison.failure(unfinishedClaims: subject.lostClaims) { return .fail(poison) }
        guard resends else {
            return .fail(
                FailureCause(
                    code: nil, errorClass: nil,
                    error: "outcome unknown: Twilio does not list the message, and OTPD_RESEND_UNKNOWN=never rules "
                        + "out another send",
                    remedy: "Let the user ask again. The same code is sent while it is live."))
        }
        return .resend
    }

    private static let undecided = FailureCause(
        code: nil, errorClass: nil,
        error: "outcome unknown: the message may have been sent, and its code has expired since",
        remedy: "Let the user ask for a new code.")
}
