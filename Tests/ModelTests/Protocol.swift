import OTP

/// The protocol: all steps that can follow a state.
///
/// Each participant has its own extension: `Protocol+Worker`, `+Twilio`, `+Database`, `+Standby`, `+Lookups`, `+Time`.
struct Protocol {
    let setup: Setup
    /// The results of `ResolutionRule.decide` for a lookup that missed, by age, counted lookups and lost claims.
    let verdicts: [PendingLookup.Verdict]
    private(set) var successors: [Successor] = []
    /// One bit for each rule.
    private let broken: UInt32

    init(_ setup: Setup) {
        self.setup = setup
        precondition(!setup.forgets || setup.jobs == 1, "the standby has one job")
        broken = setup.broken.reduce(0) { $0 | 1 << $1.rawValue }
        verdicts = Self.verdicts(setup)
    }

    func start() -> World {
        var world = World(rows: InlineArray(repeating: Row()))
        // Jobs beyond this run's number have ended before it begins.
        for job in setup.jobs..<World.jobs { world.rows[job].state = .canceled }
        return world
    }

    /// All steps out of `world`, in `successors`.
    mutating func explore(_ world: World) {
        successors.removeAll(keepingCapacity: true)
        passTime(world)
        for index in 0..<setup.jobs * setup.attemptsPerJob where world.attempts[index].phase != .none {
            work(world, index)
            twilioActs(world, index)
        }
        for job in 0..<setup.jobs where world.rows[job].state.isLive {
            databaseActs(world, job)
            takeLookups(world, job)
        }
        endLookups(world)
        if setup.forgets { standbyActs(world) }
    }

    mutating func add(_ step: Step, _ world: World, violates violation: Property? = nil) {
        var world = world
        forgetWhatNobodyAsksFor(&world)
        let isWanted = violation.map(setup.properties.contains) ?? false
        successors.append(Successor(step: step, world: world, violation: isWanted ? violation : nil))
    }

    func holds(_ rule: Rule) -> Bool { broken & 1 << rule.rawValue == 0 }
    /// Whether a stale lookup stays stale for good.
    var fencesOutLookups: Bool { setup.merges && holds(.verdictFencedByToken) && holds(.verdictFencedByAttempt) }

    func job(of attempt: Int) -> Int { attempt / setup.attemptsPerJob }
    func attempts(of job: Int) -> Range<Int> { job * setup.attemptsPerJob..<(job + 1) * setup.attemptsPerJob }
    /// The next attempt of a job; nil at the bound of the exploration.
    func nextAttempt(of job: Int, _ world: World) -> Int? {
        attempts(of: job).first { world.attempts[$0].phase == .none }
    }
    /// Whether Twilio has a message of the job, or may still accept it, from an attempt with a number up to `last`.
    func mayBeSent(_ job: Int, _ world: World, upTo last: Int8 = .max) -> Bool {
        attempts(of: job).contains {
            let attempt = world.attempts[$0]
            return attempt.number <= last && (attempt.isAccepted || attempt.isUnderway)
        }
    }
    /// Whether an ending without a SID may be written for it, as far as the claim is concerned.
    func isOwn(_ attempt: Int, _ row: Row, _ world: World) -> Bool {
        guard holds(.endingsFenced) else { return true }
        return holds(.endingsFencedByLease)
            ? row.holder == attempt : row.attempt == world.attempts[attempt].number
    }
}

// MARK: Fewer states

extension Protocol {
    /// Merges states that differ only in facts without further effect.
    private func forgetWhatNobodyAsksFor(_ world: inout World) {
        var anyLive = false
        for job in 0..<World.jobs {
            if world.rows[job].state.isLive {
                anyLive = true
            } else {
                world.rows[job] = Row(state: world.rows[job].state, attempt: world.rows[job].attempt)
            }
        }
        let isBehind = world.standby.phase == .behind
        for slot in 0..<World.lookups where world.lookups[slot].verdict != .none {
            if isBehind, world.lookups[slot].isCurrentOnStandby { continue }
            if isFencedOutForGood(world.lookups[slot], world) { world.lookups[slot] = PendingLookup() }
        }
        // The lookups are interchangeable, so their order does not matter.
        if world.lookups[0].code > world.lookups[1].code {
            let first = world.lookups[0]
            world.lookups[0] = world.lookups[1]
            world.lookups[1] = first
        }
        for index in 0..<setup.jobs * setup.attemptsPerJob {
            switch world.attempts[index].phase {
            case .held: world.attempts[index].http = 0
            case .none, .handedOver, .inTurn: break
            case .fed: world.attempts[index].trust = 0
            case .waiting, .unsent, .over:
                world.attempts[index].trust = 0
                world.attempts[index].http = 0
                if !isBehind, !world.attempts[index].mustRecall, !canStillWrite(index, world) {
                    world.attempts[index].phase = .over
                }
            }
            if world.attempts[index].isAccepted, !isBehind, world.attempts[index].isRecorded || !anyLive {
                world.attempts[index].body = .accepted(unlisted: 0)
            }
        }
    }

    /// `next_lookup_at` only grows, so a stale lookup never becomes current again, but for a database that forgets.
    private func isFencedOutForGood(_ lookup: PendingLookup, _ world: World) -> Bool {
        let row = world.rows[Int(lookup.job)]
        guard row.state.isLive else { return true }
        guard fencesOutLookups else { return false }
        return !lookup.isCurrent || lookup.attempt != row.attempt || row.state != .unknown
    }

    /// Whether an ending without a SID can still be written for it.
    private func canStillWrite(_ index: Int, _ world: World) -> Bool {
        let row = world.rows[job(of: index)]
        guard row.state.isLive else { return false }
        return isOwn(index, row, world) || !setup.merges || !holds(.endingsFencedByLease)
    }
}
