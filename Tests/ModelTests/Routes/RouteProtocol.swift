/// The protocol of a route: all steps that can follow a state. It follows `migrations/0021_routes.up.sql`.
struct RouteProtocol {
    let setup: RouteSetup
    private(set) var successors: [RouteSuccessor] = []

    init(_ setup: RouteSetup) { self.setup = setup }

    /// The first step's job was just requested.
    func start() -> RouteWorld {
        var world = RouteWorld()
        world.insert(step: 1, waits: setup.waits)
        return world
    }

    mutating func explore(_ world: RouteWorld) {
        successors.removeAll(keepingCapacity: true)
        passTime(world)
        userActs(world)
        for job in 0..<RouteWorld.jobs where world.jobs[job].state != .none {
            work(world, job)
            twilioActs(world, job)
            recordMessage(world, job)
            beginTransactions(world, job)
        }
        for slot in 0..<RouteWorld.transactions where world.transactions[slot].kind != .none { proceed(world, slot) }
    }

    private mutating func add(_ step: RouteStep, _ world: RouteWorld, violates violation: RouteProperty? = nil) {
        var world = world
        forgetWhatNobodyAsksFor(&world)
        let isWanted = violation.map(setup.properties.contains) ?? false
        successors.append(RouteSuccessor(step: step, world: world, violation: isWanted ? violation : nil))
    }

    func holds(_ rule: RouteRule) -> Bool { !setup.broken.contains(rule) }
    private func waits(_ step: Int8) -> Bool { setup.waits && step == 1 }
    private func isOfOneChannel(_ one: RouteJob, _ other: RouteJob) -> Bool {
        setup.isOneChannel || one.step == other.step
    }
    private func isDown(_ job: RouteJob) -> Bool { setup.firstChannelIsDown && job.step == 1 }

    /// Merges states that differ only in facts without further effect.
    private func forgetWhatNobodyAsksFor(_ world: inout RouteWorld) {
        for job in 0..<RouteWorld.jobs where !world.jobs[job].state.isLive && world.jobs[job].state != .none {
            world.jobs[job].wasClaimedAfterEnd = false
            if world.jobs[job].state == .canceled { world.jobs[job].hasTimer = false }
            // A message is of interest while its failure may begin a step: that of a first step, which ended as accepted.
            if world.jobs[job].body != .underway {
                world.jobs[job].wasAccepted = false
                if world.jobs[job].state != .accepted || world.jobs[job].step == 2 {
                    world.jobs[job].body = .nothing
                }
            }
        }
        // The transactions are interchangeable, so their order does not matter.
        if world.transactions[0].code > world.transactions[1].code {
            let first = world.transactions[0]
            world.transactions[0] = world.transactions[1]
            world.transactions[1] = first
        }
    }
}

// MARK: Time and the user

extension RouteProtocol {
    private mutating func passTime(_ world: RouteWorld) {
        var next = world
        switch world.life {
        case .enough:
            guard setup.ages else { return }
            next.life = .short
            add(.lifeShortens, next)
        case .short:
            next.life = .dead
            add(.codeDies, next)
        case .dead: break
        }
    }

    private mutating func userActs(_ world: RouteWorld) {
        guard world.ending == .none, !world.isLocked else { return }
        var next = world
        if world.life == .enough, setup.asksAgain, !world.hasAskedAgain, world.count < RouteWorld.jobs - 1 {
            next.hasAskedAgain = true
            // A queued follower is canceled. The route begins again.
            for job in 0..<world.count where world.jobs[job].state == .queued && world.jobs[job].follows >= 0 {
                next.jobs[job].state = .canceled
            }
            next.insert(step: 1, waits: waits(1))
            add(.askAgain, next)
        }
        if world.life != .enough {
            next = world
            next.ending = .replaced
            add(.replace, next)
        }
        guard world.life != .dead else { return }
        // The code may have been read from any message, or from an earlier one of the same code.
        for (step, ending) in [(RouteStep.verify, RouteWorld.Ending.verified), (.cancel, .canceled)] {
            next = world
            next.ending = ending
            for job in 0..<world.count where world.jobs[job].state == .queued { next.jobs[job].state = .canceled }
            // It also writes to messages whose calls have not rung. A locked one belongs to a transaction that waits for
            // this verification.
            let isBlocked = !holds(.endSkipsLockedMessage) && (0..<world.count).contains { isMessageLocked($0, world) }
            add(step, next, violates: isBlocked ? .deadlock : nil)
        }
    }

    private func isMessageLocked(_ job: Int, _ world: RouteWorld) -> Bool {
        (0..<RouteWorld.transactions).contains {
            world.transactions[$0].kind == .failure && Int(world.transactions[$0].job) == job
                && world.transactions[$0].phase != .split
        }
    }
}

// MARK: A job, its worker and its message

extension RouteProtocol {
    private mutating func work(_ world: RouteWorld, _ job: Int) {
        let row = world.jobs[job]
        var next = world
        switch row.state {
        case .queued:
            if canClaim(world, job) {
                next.jobs[job].state = .sending
                next.jobs[job].wasClaimedAfterEnd = world.ending != .none
                add(isDown(row) ? .claimInVain(job) : .claim(job), next)
            }
            expire(world, job)
        case .sending:
            guard !isPending(.unsent, job, world) else { return }
            let isRefused = row.wasClaimedAfterEnd && holds(.claimTellsTheEnd)
            if world.life != .dead, !isRefused, !isDown(row) {
                next.jobs[job].state = .handedOver
                next.jobs[job].body = .underway
                var violation: RouteProperty? = row.wasClaimedAfterEnd ? .sentAfterTheEnd : nil
                for other in 0..<world.count where other != job && world.jobs[other].body == .underway {
                    if isOfOneChannel(row, world.jobs[other]) { violation = violation ?? .together }
                }
                add(.handOver(job), next, violates: violation)
            }
            if isRefused {
                next = world
                next.jobs[job].state = .canceled
                add(.endCanceled(job), next)
            }
            // A pause, a rate or a backoff; the drain.
            next = world
            next.jobs[job].state = .queued
            if isDown(row) || world.life == .dead { add(.giveBack(job), next) }
            becomeUnknown(world, job, .crash(job))
        case .handedOver: becomeUnknown(world, job, .becomeUnknown(job))
        case .unknown:
            // The list shows what is there, after a grace in which nothing can arrive any more (see `Protocol`). Without a
            // list, the setting alone decides.
            guard setup.hasNoList || row.body == .nothing else { return }
            if setup.resends, world.life != .dead {
                next.jobs[job].state = .queued
                next.jobs[job].wasAccepted = row.wasAccepted || row.body.isThere
                next.jobs[job].body = .nothing
                add(.lookupMisses(job), next)
            }
        case .none, .accepted, .failed, .expired, .canceled: break
        }
    }

    private mutating func becomeUnknown(_ world: RouteWorld, _ job: Int, _ step: RouteStep) {
        guard !isPending(.unsent, job, world) else { return }
        var next = world
        next.jobs[job].state = .unknown
        next.jobs[job].wasClaimedAfterEnd = false
        add(step, next)
    }

    private mutating func expire(_ world: RouteWorld, _ job: Int) {
        guard world.life == .dead else { return }
        var next = world
        next.jobs[job].state = .expired
        add(.expire(job), next)
    }

    private func canClaim(_ world: RouteWorld, _ job: Int) -> Bool {
        guard world.life != .dead else { return false }
        for earlier in 0..<job where world.jobs[earlier].state.isLive {
            if isOfOneChannel(world.jobs[earlier], world.jobs[job]) {
                if holds(.oneOfAChannel) { return false }
            } else if !holds(.otherChannelsDoNotWait), world.jobs[earlier].state != .unknown {
                return false
            }
        }
        return true
    }

    private mutating func twilioActs(_ world: RouteWorld, _ job: Int) {
        var next = world
        switch world.jobs[job].body {
        case .nothing, .delivered, .undelivered: break
        case .underway:
            next.jobs[job].body = .accepted
            add(.accept(job), next, violates: world.jobs[job].wasAccepted ? .sentTwice : nil)
            next.jobs[job].body = .nothing
            add(.lose(job), next)
        case .accepted:
            next.jobs[job].body = .delivered
            add(.deliver(job), next)
            next.jobs[job].body = .undelivered
            add(.fail(job), next)
        }
    }

    /// Evidence settles its job in any live state.
    private mutating func recordMessage(_ world: RouteWorld, _ job: Int) {
        let row = world.jobs[job]
        guard row.state.isLive, row.body.isThere, !isPending(.unsent, job, world) else { return }
        var next = world
        next.jobs[job].state = .accepted
        add(.recordMessage(job), next)
    }
}

// MARK: Transactions that begin a step

extension RouteProtocol {
    private func isPending(_ kind: RouteTransaction.Kind, _ job: Int, _ world: RouteWorld) -> Bool {
        (0..<RouteWorld.transactions).contains {
            world.transactions[$0].kind == kind && Int(world.transactions[$0].job) == job
        }
    }

    private mutating func beginTransactions(_ world: RouteWorld, _ job: Int) {
        guard let slot = (0..<RouteWorld.transactions).first(where: { world.transactions[$0].kind == .none }) else {
            return
        }
        let row = world.jobs[job]
        var next = world
        next.transactions[slot] = RouteTransaction(kind: .failure, job: Int8(job))
        // A status becomes final once. While one transaction records it, its row is locked for the others.
        if row.state == .accepted, row.body == .undelivered, !row.failureIsRecorded,
            !isPending(.failure, job, world), !isMessageHeldByTimer(job, world)
        {
            add(.beginFailure(job), next)
        }
        // Refused for good, or a shared limit; or its outcome stayed unknown.
        let isSurelyUnsent = row.state.isHeld && row.body == .nothing && !isDown(row)
        let isGivenUp =
            row.state == .unknown && (row.body == .nothing || setup.hasNoList)
            && (!setup.resends || world.life == .dead)
        if isSurelyUnsent || isGivenUp, !isPending(.unsent, job, world) {
            next.transactions[slot].kind = .unsent
            add(isGivenUp ? .lookupMisses(job) : .beginUnsent(job), next)
        }
        guard row.hasTimer, !isPending(.timer, job, world) else { return }
        // `SKIP LOCKED`: a verification or a message that another transaction holds is left to the next round.
        if world.isLocked, holds(.lockBeforeReading) {
            if !holds(.lockedTimerStays) {
                next = world
                next.jobs[job].hasTimer = false
                add(.dropTimer(job), next)
            }
            return
        }
        if isMessageLocked(job, world), holds(.timerSkipsLockedMessage) { return }
        next.transactions[slot].kind = .timer
        if !holds(.timerInOneTransaction) { next.jobs[job].hasTimer = false }
        add(.beginTimer(job), next)
    }

    private func isMessageHeldByTimer(_ job: Int, _ world: RouteWorld) -> Bool {
        isPending(.timer, job, world) && holds(.timerSkipsLockedMessage)
    }

    private mutating func proceed(_ world: RouteWorld, _ slot: Int) {
        let transaction = world.transactions[slot]
        var next = world
        switch transaction.phase {
        case .begun:
            let isSplit =
                transaction.kind == .failure && !holds(.failureInOneTransaction)
                || transaction.kind == .unsent && !holds(.unsentInOneTransaction)
            if isSplit {
                write(transaction, &next)
                next.transactions[slot].phase = .split
                add(.commit(slot), next)
            } else {
                decide(world, slot)
            }
        case .split: decide(world, slot)
        case .decided: commit(world, slot)
        }
        next = world
        next.transactions[slot] = RouteTransaction()
        add(.rollBack(slot), next)
    }

    /// Takes the lock, reads, and decides.
    private mutating func decide(_ world: RouteWorld, _ slot: Int) {
        guard !world.isLocked || !holds(.lockBeforeReading) else { return }
        let transaction = world.transactions[slot]
        let job = Int(transaction.job)
        let row = world.jobs[job]
        var next = world
        var begins = row.step == 1
        if world.ending != .none, holds(.nothingAfterTheEnd) { begins = false }
        if world.life != .enough, holds(.aMinuteOfLife) { begins = false }
        if job + 1 < world.count, holds(.nothingAfterALaterJob) { begins = false }
        // What has ended meanwhile without a further step: used, canceled or taken over.
        if transaction.kind == .timer, row.state == .canceled { begins = false }
        next.transactions[slot].phase = .decided
        next.transactions[slot].begins = begins
        add(.decide(slot), next)
    }

    private mutating func commit(_ world: RouteWorld, _ slot: Int) {
        let transaction = world.transactions[slot]
        let job = Int(transaction.job)
        var next = world
        next.transactions[slot] = RouteTransaction()
        write(transaction, &next)
        var violation: RouteProperty?
        // The message tells what followed. Its lock may be held by a transaction that waits for this one.
        if transaction.kind == .timer, isMessageLocked(job, world) { violation = .deadlock }
        // The insert's trigger checks the end again.
        let isRefused = world.life == .dead || world.ending != .none && holds(.nothingAfterTheEnd)
        if transaction.begins, !isRefused, world.count < RouteWorld.jobs {
            if world.hasFollower(job) { violation = violation ?? .begunTwice }
            if world.ending != .none || world.life == .dead { violation = violation ?? .begunTooLate }
            if !holds(.aMinuteOfLife), world.life != .enough { violation = violation ?? .begunTooLate }
            let row = world.jobs[job]
            if transaction.kind == .timer, row.state == .queued || !holds(.takesOverOnlyQueued) && row.state.isLive {
                next.jobs[job].state = .canceled
                if row.body != .nothing { violation = violation ?? .takenOverThoughSent }
            }
            next.insert(step: 2, follows: Int8(job), waits: false)
        }
        add(.commit(slot), next, violates: violation)
    }

    /// What the transaction records of its own job.
    private func write(_ transaction: RouteTransaction, _ world: inout RouteWorld) {
        let job = Int(transaction.job)
        switch transaction.kind {
        case .none: break
        case .failure: world.jobs[job].failureIsRecorded = true
        case .unsent: world.jobs[job].state = .failed
        case .timer: world.jobs[job].hasTimer = false
        }
    }
}
