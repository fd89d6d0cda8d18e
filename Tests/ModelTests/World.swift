/// A state of the model: everything that the protocol's participants and Twilio know at one moment.
///
/// Times are counted in ticks from now, and saturate where no rule tells them apart. So the number of states is finite,
/// and all of them can be visited.
struct World {
    /// The most send jobs, all of one verification, in the order of their ids.
    static let jobs = 2
    /// Attempts of all jobs together.
    static let attempts = 4
    /// The number of concurrent lookups.
    static let lookups = 2

    var rows: InlineArray<2, Row>
    var attempts = InlineArray<4, Attempt>(repeating: Attempt())
    var lookups = InlineArray<2, PendingLookup>(repeating: PendingLookup())
    /// The code has expired.
    var isDead = false
    /// The database's clock has jumped once.
    var hasFailedOver = false
    var standby = Standby()
}

/// A job's row in the database.
struct Row {
    enum State: UInt8, CaseIterable {
        case queued, sending, unknown
        /// In `otp.messages`.
        case accepted
        /// In `otp.unsent_jobs`.
        case failed, poisoned, expired, canceled

        var isLive: Bool { rawValue <= State.unknown.rawValue }
    }

    /// The `lease` of a lapsed lease stops here, because its age has no further effect.
    static let longAgo: Int8 = -9
    /// The grace in ticks, which is the greatest age that any rule tells apart.
    static let oldest: Int8 = 9
    /// A recalled attempt may still leave within its trust window, which is the lease at most.
    static let youngest: Int8 = -Setup.lease
    /// From here on, two lookups are far enough apart.
    static let farApart: Int8 = 3

    var state = State.queued
    /// Claims so far. In a live row, the attempt of this number is the last one.
    var attempt: Int8 = 0
    /// `lease_expires_at` of a job that is `sending`, from now. From 0 on it has ended.
    var lease: Int8 = 0
    /// The time since `unknown_at`, which may be to come.
    var age: Int8 = 0
    /// `next_lookup_at` from now; due at 0.
    var lookupAt: Int8 = 0
    var lookups: Int8 = 0
    /// The attempt whose claim wrote `lease_expires_at`, over all jobs; -1 if there is none. The database has the time
    /// itself, which is another one for each claim.
    var holder: Int8 = -1
    var lostClaims: Int8 = 0
    /// The time since the last counted lookup was recorded. This is not a column; it only serves to check a property.
    var sinceLookup: Int8 = 0
}

/// One attempt: its state in its worker, and the state of its body.
///
/// Each attempt has its own worker. No rule needs two attempts of one process: a worker with several is like several
/// workers that stop and crash together, which the model also explores. Every step may come arbitrarily late, so a
/// stopped process (SIGSTOP) needs no state of its own.
struct Attempt {
    enum Phase: UInt8, CaseIterable {
        /// Not claimed yet.
        case none
        /// Claimed, in the worker's memory.
        case held
        /// Handed to libcurl: connecting, the head, everything before the body.
        case handedOver
        /// `epoll_wait` has returned, overdue transfers have been ended, and libcurl acts.
        case inTurn
        /// libcurl has the body, and a part of it is not in the socket yet.
        case fed
        /// Everything has left, or was discarded after it was fed. There is no answer yet.
        case waiting
        /// Certainly not sent, but not recorded yet.
        case unsent
        /// The worker does nothing more: it has recorded the ending, or crashed.
        case over
    }

    /// The body at Twilio, or on the way there. After a loss or a refusal it is `nothing` again.
    enum Body: Equatable {
        case nothing
        /// Under way, and accepted within this many ticks, if at all.
        case underway(Int8)
        /// A message, which Twilio's list certainly shows after this many ticks, and perhaps sooner.
        case accepted(unlisted: Int8)
    }

    /// A time that has passed.
    static let past: Int8 = -1

    var phase = Phase.none
    /// The rest of the trust window; `past` when it has ended.
    var trust: Int8 = 0
    /// The rest of the request's ten seconds.
    var http: Int8 = 0
    var body = Body.nothing
    /// Its SID is in the database.
    var isRecorded = false
    /// `attempt` of its claim. A database that has forgotten a claim gives the number out again.
    var number: Int8 = 0
    /// It has ended while the standby was behind, and its worker knows that Twilio may have it.
    var isRemembered = false
    /// A standby has taken over, and its worker has not written yet what it knows.
    var mustRecall = false

    var isAccepted: Bool {
        if case .accepted = body { true } else { false }
    }
    var isUnderway: Bool {
        if case .underway = body { true } else { false }
    }
}

/// A lookup that found nothing, and whose verdict is not recorded yet.
///
/// Starting the lookup and reading the list are one step here. That hides nothing: a message that is missing now was
/// missing before, so a later reading could only find more. A lookup that finds a message records evidence, which is a
/// step of its own.
struct PendingLookup {
    enum Verdict: Equatable {
        case none
        case lookUpAgain(after: Int8)
        case countAndLookUpAgain
        case resend
        case fail
    }

    var verdict = Verdict.none
    var job: Int8 = 0
    var attempt: Int8 = 0
    /// The `next_lookup_at` that it took, from now. Below 0 it cannot be taken again.
    var token: Int8 = 0
    /// The row's `next_lookup_at` is the one taken.
    var isCurrent = false
    /// The same of the standby's row, while it is behind.
    var isCurrentOnStandby = false
}

/// What an asynchronous standby has of the first job.
struct Standby {
    enum Phase: UInt8 {
        /// Everything.
        case upToDate
        /// The commits until it fell behind.
        case behind
        /// It has taken over, and is the database now.
        case promoted
    }

    var phase = Phase.upToDate
    var row = Row()
    /// The attempts whose SIDs it has, one bit each.
    var recorded: UInt8 = 0
}
