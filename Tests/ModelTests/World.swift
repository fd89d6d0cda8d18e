/// All that the protocol's participants and Twilio know at one moment: a state of the model.
///
/// No absolute time: what lies ahead or behind is counted in ticks from now, and saturates where no rule looks any
/// further. So the states are finite, and the whole of them can be visited.
struct World {
    /// The most send jobs, all of one verification, in the order of their ids.
    static let jobs = 2
    /// Attempts of all jobs together.
    static let attempts = 4
    /// Looks under way at a time.
    static let looks = 2

    var rows: InlineArray<2, Row>
    var attempts = InlineArray<4, Attempt>(repeating: Attempt())
    var looks = InlineArray<2, PendingLook>(repeating: PendingLook())
    /// The code has died.
    var isDead = false
    /// The database's clock has jumped once.
    var hasFailedOver = false
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

    /// `lease` of a lapsed one that nobody has swept stops here: its age decides nothing any more.
    static let longAgo: Int8 = -9
    /// The grace, in ticks, and so the greatest age that any rule tells apart.
    static let oldest: Int8 = 9
    /// From here on, two looks are far enough from each other.
    static let farApart: Int8 = 3

    var state = State.queued
    /// Claims so far. In a live row, the attempt of this number is the last one.
    var attempt: Int8 = 0
    /// `lease_expires_at` of a job that is `sending`, from now; lapsed from 0 on.
    var lease: Int8 = 0
    /// Since `unknown_at`.
    var age: Int8 = 0
    /// `next_lookup_at` from now; due at 0.
    var lookAt: Int8 = 0
    var looks: Int8 = 0
    var lostClaims: Int8 = 0
    /// Since the last counted look was written down. No column: a witness for a property.
    var sinceLook: Int8 = 0
}

/// One attempt: what its worker holds of it, and what has become of its body.
///
/// An attempt is its own worker. Nothing here needs two attempts to be of one process: a worker with several is several
/// workers that stop and die together, which the model's do too, among all else. Nobody is ever in a hurry here, so
/// every step may come as late as one likes: a stopped process (SIGSTOP) needs no state of its own.
struct Attempt {
    enum Phase: UInt8, CaseIterable {
        /// Not claimed yet.
        case none
        /// Claimed, in the worker's memory.
        case held
        /// With libcurl: connecting, the head, whatever precedes the body.
        case handedOver
        /// `epoll_wait` has returned, the overdue have been ended, and libcurl acts.
        case inTurn
        /// The body is libcurl's, and part of it not yet the socket's.
        case fed
        /// All has left, or has been discarded after it was fed; there is no answer yet.
        case waiting
        /// Known for certain not to have been sent; not written down yet.
        case unsent
        /// Nothing more will come of its worker: it has written its ending down, or died.
        case over
    }

    /// What Twilio, or the way there, has of it. Lost, or refused, it is `nothing` again.
    enum Body: Equatable {
        case nothing
        /// On its way, and taken within so many ticks, if at all.
        case underway(Int8)
        /// A message, which Twilio's list shows surely after so many ticks, and perhaps sooner.
        case accepted(unlisted: Int8)
    }

    /// A span of time that is over.
    static let past: Int8 = -1

    var phase = Phase.none
    /// What is left of the trust window; `past` when nothing is.
    var trust: Int8 = 0
    /// What is left of the request's ten seconds.
    var http: Int8 = 0
    var body = Body.nothing
    /// Its SID is in the database.
    var isRecorded = false

    var isAccepted: Bool {
        if case .accepted = body { true } else { false }
    }
    var isUnderway: Bool {
        if case .underway = body { true } else { false }
    }
}

/// A look that found nothing, and whose verdict is not written down yet.
///
/// Taking the look up and reading the list are one step here. Nothing is lost by it: what a list lacks now it lacked
/// before, so a later reading could only find more; and what finds something writes evidence, which is a step of its own.
struct PendingLook {
    enum Verdict: Equatable {
        case none
        case lookUpAgain(after: Int8)
        case countAndLookAgain
        case resend
        case fail
    }

    var verdict = Verdict.none
    var job: Int8 = 0
    var attempt: Int8 = 0
    /// The `next_lookup_at` that was taken, from now; below 0 it can't be written anew any more.
    var token: Int8 = 0
    /// The row's `next_lookup_at` is the one taken.
    var isCurrent = false
}
