/// A state of the model of a route with two steps: the verification, its send jobs, and the transactions under way.
///
/// `World` models one send in every detail. Here a send is coarser: a job, its body and its status. Times have no length.
/// What may come late may come at any time, so the order of any two events is explored.
struct RouteWorld {
    /// Send jobs in the order of their ids: two steps, and two more if the user requests the code again.
    static let jobs = 4
    /// Transactions at a time that may begin a step.
    static let transactions = 2

    enum Ending: UInt8 {
        case none, verified, canceled
        /// A newer verification of the same subject has replaced it.
        case replaced
    }

    enum Life: UInt8 {
        /// A minute or more.
        case enough
        case short, dead
    }

    var jobs = InlineArray<4, RouteJob>(repeating: RouteJob())
    var transactions = InlineArray<2, RouteTransaction>(repeating: RouteTransaction())
    var ending = Ending.none
    var life = Life.enough
    var hasAskedAgain = false

    var count: Int { (0..<Self.jobs).count { jobs[$0].state != .none } }
    var isOpen: Bool { ending == .none && life == .enough }
    /// Whether a transaction holds the verification's lock.
    var isLocked: Bool { (0..<Self.transactions).contains { transactions[$0].phase == .decided } }

    func hasFollower(_ job: Int) -> Bool { follower(of: job) != nil }
    func follower(of job: Int) -> Int? { (0..<Self.jobs).first { jobs[$0].follows == Int8(job) } }

    /// A new job in the queue. The trigger of the insert also sets the timer.
    mutating func insert(step: Int8, follows: Int8 = -1, waits: Bool) {
        jobs[count] = RouteJob(state: .queued, step: step, follows: follows, hasTimer: waits)
    }
}

/// A send job.
struct RouteJob: Equatable {
    enum State: UInt8, CaseIterable {
        /// Not inserted yet.
        case none
        case queued
        /// Claimed, and not handed over yet.
        case sending
        /// Handed over: the body may leave, and may have left.
        case handedOver
        case unknown
        case accepted, failed, expired, canceled

        var isLive: Bool { self != .none && rawValue <= State.unknown.rawValue }
        /// Whether a worker has the job.
        var isHeld: Bool { self == .sending || self == .handedOver }
    }

    /// The body on its way, and then the message at Twilio or the call.
    enum Body: UInt8 {
        case nothing, underway, accepted
        /// Its last status.
        case delivered, undelivered

        var isThere: Bool { rawValue >= Body.accepted.rawValue }
    }

    var state = State.none
    /// 1 or 2.
    var step: Int8 = 1
    /// The job that it follows; -1 for none.
    var follows: Int8 = -1
    var body = Body.nothing
    /// An earlier attempt's message is there as well.
    var wasAccepted = false
    /// The message's failure is in the database.
    var failureIsRecorded = false
    /// Its row of `otp.step_waits` is there.
    var hasTimer = false
    /// The verification had ended when this attempt was claimed.
    var wasClaimedAfterEnd = false
}

/// A transaction that may begin a step.
struct RouteTransaction: Equatable {
    enum Kind: UInt8 {
        case none
        /// Records that a message failed: a callback, or a poll.
        case failure
        /// Records that a job ended unsent.
        case unsent
        /// The wait after a step has ended.
        case timer
    }

    enum Phase: UInt8 {
        /// It holds its own row, and waits for the verification's lock.
        case begun
        /// It has the lock, and has decided.
        case decided
        /// A second transaction for the rest of the work. Only a broken rule needs one.
        case split
    }

    var kind = Kind.none
    var phase = Phase.begun
    var job: Int8 = 0
    /// The next step begins at the commit.
    var begins = false
}

// MARK: As a key

extension RouteWorld {
    var key: Key {
        var first = Packer()
        for index in 0..<Self.jobs {
            let job = jobs[index]
            first.put(job.state.rawValue, bits: 4)
            first.put(job.step - 1, bits: 1)
            first.put(job.follows + 1, bits: 3)
            first.put(job.body.rawValue, bits: 3)
            for flag in [job.wasAccepted, job.failureIsRecorded, job.hasTimer, job.wasClaimedAfterEnd] {
                first.put(flag ? 1 : 0, bits: 1)
            }
        }
        var second = Packer()
        for index in 0..<Self.transactions {
            second.put(transactions[index].code, bits: 7)
        }
        second.put(ending.rawValue, bits: 2)
        second.put(life.rawValue, bits: 2)
        second.put(hasAskedAgain ? 1 : 0, bits: 1)
        return Key(first: first.word, second: second.word)
    }

    init(_ key: Key) {
        var first = Packer(key.first)
        for index in 0..<Self.jobs {
            jobs[index] = RouteJob(
                state: RouteJob.State(rawValue: UInt8(first.take(4)))!, step: first.take(1) + 1,
                follows: first.take(3) - 1, body: RouteJob.Body(rawValue: UInt8(first.take(3)))!,
                wasAccepted: first.take(1) == 1, failureIsRecorded: first.take(1) == 1, hasTimer: first.take(1) == 1,
                wasClaimedAfterEnd: first.take(1) == 1)
        }
        var second = Packer(key.second)
        for index in 0..<Self.transactions { transactions[index] = RouteTransaction(code: second.take(7)) }
        ending = Ending(rawValue: UInt8(second.take(2)))!
        life = Life(rawValue: UInt8(second.take(2)))!
        hasAskedAgain = second.take(1) == 1
    }
}

extension RouteTransaction {
    var code: Int8 { Int8(kind.rawValue) | Int8(phase.rawValue) << 2 | job << 4 | (begins ? 1 << 6 : 0) }

    init(code: Int8) {
        kind = Kind(rawValue: UInt8(code & 3))!
        phase = Phase(rawValue: UInt8(code >> 2 & 3))!
        job = code >> 4 & 3
        begins = code >> 6 == 1
    }
}
