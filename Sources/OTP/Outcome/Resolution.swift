/// What a look at Twilio's own list of messages showed of a send whose outcome is unknown.
public enum Lookup: Sendable, Hashable {
    /// Twilio has it: its message, as listed.
    case found(MessageSID, MessageStatus)
    /// The whole list was read, and it is not there.
    case absent
    /// Nothing can be concluded: the list could not be had, or not be read to its end, or hides what would tell.
    case unclear
}

/// What follows from a look.
public enum ResolutionStep: Sendable, Hashable {
    /// Twilio has it: the job has ended as accepted.
    case adopt(MessageSID, MessageStatus)
    /// Still unknown; look again after this. `isCounted`: it was one of the looks that a resend needs.
    case lookUpAgain(after: Duration, isCounted: Bool)
    /// Twilio does not have it: back to `queued`, the same code.
    case resend
    /// Twilio does not have it, and it is not sent again.
    case fail(Disposition.Failure)
}

/// Decides what becomes of a send whose outcome is unknown. Pure.
///
/// It is handed to Twilio again only after a grace and two looks that did not find it (CONTRACT 7.2). A look before the
/// grace is over may find it, and so spares its user the wait; that it does not find it says nothing. Once the code has died,
/// a last look decides. Evidence from
/// elsewhere (a late answer, a callback) settles the job at any time, and needs no rule.
public struct ResolutionRule: Sendable {
    /// From the moment after which nothing of the attempt can leave its worker until its absence counts: a whole HTTP
    /// request (10 s), what a socket may still retransmit (`TCP_USER_TIMEOUT`, 10 s), the lag of Twilio's list (15 s), and
    /// the skew of the database's clock across a failover (10 s).
    public static let grace = Duration.seconds(45)
    /// Between the two looks that count.
    public static let secondLook = Duration.seconds(15)
    /// How many looks must have missed it before it is sent again.
    public static let neededLooks = 2
    /// Ages at which to look before the grace is over: for most, the answer alone was lost.
    public static let earlyLooks: [Duration] = [.seconds(2), .seconds(15)]
    /// After a look that came to nothing.
    public static let afterUnclear = Duration.seconds(10)
    /// How long after the code's death a message may still turn up that no look has found: then a look that misses it ends
    /// the job, even before the grace is over.
    public static let afterDeath = Duration.seconds(15)
    /// How long after the code's death it is still asked for a list that can't be had.
    public static let longestWait = Duration.seconds(60)

    /// Whether to send again what Twilio does not have (`OTPD_RESEND_UNKNOWN`).
    public let resends: Bool

    public init(resends: Bool) { self.resends = resends }

    /// A job under resolution, as it was when the look was taken up.
    public struct Subject: Sendable, Hashable {
        /// Since when nothing of the attempt can leave any more, by the database's clock.
        public var age: Duration
        /// The counted looks that have missed it so far.
        public var looks: Int
        /// Its claims that ended with their worker, without an outcome.
        public var lostClaims: Int
        /// For how long its code has been dead; nil while it lives.
        public var deadFor: Duration?

        public init(age: Duration, looks: Int, lostClaims: Int, deadFor: Duration? = nil) {
            self.age = age
            self.looks = looks
            self.lostClaims = lostClaims
            self.deadFor = deadFor
        }
    }

    /// Decides after a look that began when the job was `subject`.
    public func decide(_ look: Lookup, _ subject: Subject) -> ResolutionStep {
        switch look {
        case .found(let sid, let status): return .adopt(sid, status)
        case .unclear:
            if let deadFor = subject.deadFor, deadFor >= Self.longestWait { return .fail(Self.undecided) }
            return .lookUpAgain(after: Self.afterUnclear, isCounted: false)
        case .absent: break
        }
        if let deadFor = subject.deadFor {
            // Nothing is sent again: what is left is to find it. A look decides that, however late it comes.
            let left = min(Self.grace - subject.age, Self.afterDeath - deadFor)
            return left > .zero ? .lookUpAgain(after: left, isCounted: false) : .fail(Self.undecided)
        }
        guard subject.age >= Self.grace else {
            let next = Self.earlyLooks.first { $0 > subject.age } ?? Self.grace
            return .lookUpAgain(after: next - subject.age, isCounted: false)
        }
        guard subject.looks + 1 >= Self.neededLooks else {
            return .lookUpAgain(after: Self.secondLook, isCounted: true)
        }
        if let poison = Poison.failure(unfinishedClaims: subject.lostClaims) { return .fail(poison) }
        guard resends else {
            return .fail(
                Disposition.Failure(
                    code: nil, errorClass: nil,
                    error: "Outcome unknown: Twilio does not list it, and OTPD_RESEND_UNKNOWN=never rules out "
                        + "another send",
                    remedy: "Let the user ask again: the same code is sent while it lives"))
        }
        return .resend
    }

    private static let undecided = Disposition.Failure(
        code: nil, errorClass: nil, error: "Outcome unknown: it may have been sent, and its code has expired since",
        remedy: "Let the user ask for a new code")
}
