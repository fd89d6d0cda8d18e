/// What is explored: its size, what its surroundings may do, and which rules hold.
struct Setup {
    /// Five seconds: every time of the protocol is a multiple of it, or is rounded the harmful way.
    static let tick = Duration.seconds(5)

    /// `Times.lease`. The trust window is taken to end with it, as if there were no margin.
    static let lease: Int8 = 6
    /// `Times.http`.
    static let http: Int8 = 2
    /// From when a body leaves its process until Twilio may take it: what a socket may still retransmit, and as much again.
    static let underway: Int8 = 4
    /// By how much the database's clock may jump forward when a standby takes over. Backward, leases and graces last
    /// longer, which harms nobody.
    static let clockJump: Int8 = 2
    /// For how long a look is its resolver's alone.
    static let lookLease: Int8 = 6

    var jobs = 1
    var attemptsPerJob = 2
    /// `OTPD_RESEND_UNKNOWN`.
    var resends = true
    /// Until Twilio's list surely has a message. `ResolutionRule.grace` counts on three ticks.
    var listLag: Int8 = 3
    /// The database may fail over once.
    var failsOver = true
    /// The failover loses how a job ended: the promoted standby has it as being sent.
    var forgetsEndings = false
    /// A process may be stopped between the last look at the clock and the write.
    var freezesBeforeWrite = false
    var unknownSince = UnknownSince.leaseEnd
    var broken: Set<Rule> = []
    /// Merge states that can't make a difference any more.
    var merges = true
    /// Looks under way at a time.
    var resolvers = World.looks
    /// Which properties end the search when they do not hold.
    var properties = Set(Property.allCases)

    /// What `unknown_at` is set to where the sweep finds a lapsed lease.
    enum UnknownSince { case leaseEnd, sweep, claim }
}

/// The rules of the protocol, each of which can be broken on purpose.
enum Rule: UInt32, CaseIterable {
    /// The trust window and the code's death are looked at where libcurl asks for the body.
    case checkInFeed
    /// Overdue transfers are ended after each `epoll_wait`.
    case checkInTurn
    /// A request is handed over only if it would still end within the trust window.
    case wholeRequestFits
    /// The trust window counts from before the claim left, not from its answer.
    case trustFromBeforeClaim
    /// `CLOCK_BOOTTIME`: it goes on while the process is stopped and the machine sleeps.
    case clockNeverStops
    /// `SO_LINGER` 0 and `TCP_USER_TIMEOUT`: what has not left never leaves late.
    case socketsDiscard
    /// An ending without a SID is written only for the attempt that is the job's last.
    case endingsFenced
    /// A SID settles its job in any live state.
    case sidSettlesAlways
    /// What the list shows is adopted.
    case listIsBelieved
    case grace
    case secondLook
    /// A verdict is written only if `next_lookup_at` is what its look took.
    case verdictFencedByToken
    /// A verdict is written only for the attempt that was looked for.
    case verdictFencedByAttempt
    /// Only the lowest live id of a verification is claimed.
    case oneOfAVerification
    case lostLeasesSwept
    /// What was handed over is not given back, though the database says that it is being sent and it is in nobody's hand.
    case handedOverIsNotGivenBack
    /// A job is poisonous by claims that ended with their worker, not by claims.
    case onlyLostClaimsPoison
}

/// What must hold in every state and step.
enum Property: CaseIterable {
    /// Two messages of one job were accepted.
    case twice
    /// Two jobs of one verification were on their way at a time.
    case together
    /// A body was handed over after the code's death.
    case late
    /// A SID reached the database and did not settle its job, or was not kept.
    case evidenceLost
    /// The resolver ended a job as failed that Twilio has, or may still take.
    case failedThoughSent
    /// A job was settled by another job's message.
    case wrongMessage
    /// The look that decides was taken too soon after the one before it.
    case looksTooClose
    /// A job that no participant and no clock will ever end.
    case stuck
    /// With everybody well from now on, a job ended otherwise than it should.
    case notDelivered
}
