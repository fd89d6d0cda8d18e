/// The setup of an exploration: its size, the possible failures, and the rules in force.
struct Setup {
    /// Five seconds. Every time of the protocol is a multiple of it, or is rounded in the harmful direction.
    static let tick = Duration.seconds(5)

    /// `Times.lease`. The trust window is assumed to end with it, without a margin.
    static let lease: Int8 = 6
    /// `Times.http`.
    static let http: Int8 = 2
    /// From a body leaving its process until Twilio may accept it: the time of a socket's retransmissions, twice.
    static let underway: Int8 = 4
    /// How far the database's clock may jump forward when a standby takes over. A jump backward makes leases and graces
    /// longer, which is harmless.
    static let clockJump: Int8 = 2
    /// How long a lookup belongs to one worker.
    static let lookupLease: Int8 = 6

    var jobs = 1
    var attemptsPerJob = 2
    /// `OTPD_RESEND_UNKNOWN`.
    var resends = true
    /// When Twilio's list certainly has a message. `ResolutionRule.grace` assumes three ticks.
    var listLag: Int8 = 3
    /// The database may fail over once.
    var failsOver = true
    /// The standby replicates asynchronously: it falls behind once, and may take over then. So the database forgets any
    /// number of its last commits: an ending, a claim, a verdict. For one job.
    var forgets = false
    /// A worker that handed a job over may die before it has told the promoted standby.
    var forgetsTwice = false
    /// A process may be stopped between the last check of the clock and the write.
    var freezesBeforeWrite = false
    var unknownSince = UnknownSince.leaseEnd
    var broken: Set<Rule> = []
    /// Merge states whose differences have no further effect.
    var merges = true
    /// The number of concurrent lookups.
    var concurrentLookups = World.lookups
    /// The properties whose violation ends the search.
    var properties = Set(Property.allCases)

    /// The value of `unknown_at` when the sweep finds an ended lease.
    enum UnknownSince { case leaseEnd, sweep, claim }
}

/// The rules of the protocol. Each can be broken on purpose.
enum Rule: UInt32, CaseIterable {
    /// The trust window and the code's expiry are checked when libcurl asks for the body.
    case checkInFeed
    /// Overdue transfers are ended after each `epoll_wait`.
    case checkInTurn
    /// A request is handed over only if it would still end within the trust window.
    case wholeRequestFits
    /// The trust window counts from before the claim left, not from its answer.
    case trustFromBeforeClaim
    /// `CLOCK_BOOTTIME`: it advances while the process is stopped and the machine is suspended.
    case clockNeverStops
    /// `SO_LINGER` 0 and `TCP_USER_TIMEOUT`: bytes that have not left never leave late.
    case socketsDiscard
    /// An ending without a SID is written only for the attempt that is the job's last.
    case endingsFenced
    /// A SID settles its job in any live state.
    case sidSettlesAlways
    /// A message in the list is adopted.
    case listIsBelieved
    case grace
    case secondLookup
    /// A verdict is recorded only if `next_lookup_at` is the value that its lookup took.
    case verdictFencedByToken
    /// A verdict is recorded only for the attempt that was looked up.
    case verdictFencedByAttempt
    /// Only the lowest live id of a verification is claimed.
    case oneOfAVerification
    case lostLeasesSwept
    /// A job that was handed over is not released, even if the database has it as `sending` and the worker does not
    /// have it in hand.
    case handedOverIsNotGivenBack
    /// An ending is written only for the claim whose lease it was, because a promoted standby gives out attempt numbers
    /// again.
    case endingsFencedByLease
    /// After a promotion, every worker writes what it handed over before anything is claimed.
    case recallBeforeClaim
    /// That is written whatever the promoted standby has the job as, if it knows fewer attempts.
    case recallInAnyState
    /// An attempt that may still leave counts from the end of its trust window, not from then.
    case recalledFromTrust
    /// After a promotion, a worker gives back the jobs that it claimed before and has not handed over.
    case heldIsReleased
    /// Poison counts claims that ended with their worker, not all claims.
    case onlyLostClaimsPoison
}

/// The properties that must hold in every state and step.
enum Property: CaseIterable {
    /// Two messages of one job were accepted.
    case twice
    /// Two jobs of one verification were under way at a time.
    case together
    /// A body was handed over after the code's expiry.
    case late
    /// A SID reached the database and did not settle its job, or was not kept.
    case evidenceLost
    /// A job failed although Twilio has its message, or may still accept it.
    case failedThoughSent
    /// A job was settled by another job's message.
    case wrongMessage
    /// The lookup that decides came too soon after the one before it.
    case lookupsTooClose
    /// A job that neither a participant nor a clock will ever end.
    case stuck
    /// Without further failures, a job ended in another way than it should.
    case notDelivered
}
