extension Protocol {
    /// The possible steps of an attempt's worker.
    mutating func work(_ world: World, _ index: Int) {
        let attempt = world.attempts[index]
        var next = world
        switch attempt.phase {
        case .none, .over: return
        case .held:
            let least = holds(.wholeRequestFits) ? Setup.http : 0
            if attempt.trust >= least, !world.isDead {
                next.attempts[index].phase = .handedOver
                next.attempts[index].http = Setup.http
                add(Step(.handOver, index), next)
            }
            giveUp(world, index)
        case .handedOver:
            let isOverdue = attempt.trust == Attempt.past || attempt.http == Attempt.past || world.isDead
            if !isOverdue || !holds(.checkInTurn) {
                next.attempts[index].phase = .inTurn
                add(Step(.enterTurn, index), next)
            }
            giveUp(world, index)
        case .inTurn:
            if attempt.trust != Attempt.past && !world.isDead || !holds(.checkInFeed) {
                let violation: Property? = world.isDead ? .late : nil
                next.attempts[index].phase = .fed
                add(Step(.feedInPart, index), next, violates: violation)
                leave(Step(.feed, index), world, index, violates: violation)
            }
            giveUp(world, index)
        case .fed:
            if attempt.http != Attempt.past || !holds(.checkInTurn) || setup.freezesBeforeWrite {
                leave(Step(.write, index), world, index)
            }
            next.attempts[index].phase = .waiting
            add(Step(.cutShort, index), next)
        case .waiting: recordUnknown(world, index)
        case .unsent: recordUnsent(world, index)
        }
        guard mayCrash(attempt, world) else { return }
        next = world
        next.attempts[index].phase = .over
        next.attempts[index].mustRecall = false
        add(Step(.crash, index), next)
    }

    /// What the database forgets, a worker has to remember. A crash that takes both is beyond the promise.
    private func mayCrash(_ attempt: Attempt, _ world: World) -> Bool {
        guard world.standby.phase == .behind || attempt.mustRecall, !setup.forgetsTwice else { return true }
        switch attempt.phase {
        case .handedOver, .inTurn, .fed, .waiting: return false
        case .none, .held, .unsent, .over: return true
        }
    }

    private mutating func giveUp(_ world: World, _ index: Int) {
        var next = world
        next.attempts[index].phase = .unsent
        add(Step(.giveUp, index), next)
    }

    /// The body is in the socket, and on its way.
    private mutating func leave(_ step: Step, _ world: World, _ index: Int, violates violation: Property? = nil) {
        var next = world
        next.attempts[index].phase = .waiting
        next.attempts[index].body = .underway(
            holds(.socketsDiscard) ? Setup.underway : Attempt.Body.longestUnderway)
        var isTogether = false
        for other in 0..<World.attempts where job(of: other) != job(of: index) {
            if world.attempts[other].isUnderway { isTogether = true }
        }
        add(step, next, violates: violation ?? (isTogether ? .together : nil))
    }

    /// `FinishUnsent`: back to the queue, or ended.
    private mutating func recordUnsent(_ world: World, _ index: Int) {
        let job = job(of: index)
        let isOwn = isOwn(index, world.rows[job], world)
        let isWritten = isOwn && (world.rows[job].state == .sending || world.rows[job].state == .unknown)
        var next = world
        if isWritten { next.rows[job].queue() }
        add(Step(.recordRetryUnanswered, index), next)
        next.attempts[index].phase = .over
        add(Step(.recordRetry, index), next)
        // If nothing is written, one step stands for both.
        guard isWritten else { return }
        next = world
        next.rows[job].state = .failed
        // A later number was claimed after this attempt had been written as a retry. It is never written as another ending.
        let number = world.attempts[index].number
        let violation = mayBeSent(job, world, upTo: number) ? Property.failedThoughSent : nil
        add(Step(.recordFailedUnanswered, index), next, violates: violation)
        next.attempts[index].phase = .over
        add(Step(.recordFailed, index), next, violates: violation)
    }

    /// `FinishUnsent`: unknown from now on. If the worker could not record it in time, the sweep finds the job.
    private mutating func recordUnknown(_ world: World, _ index: Int) {
        let job = job(of: index)
        var next = world
        if isOwn(index, world.rows[job], world), world.rows[job].state == .sending {
            next.becomeUnknown(job, since: 0)
            add(Step(.recordUnknownUnanswered, index), next)
        }
        next.attempts[index].phase = .over
        next.attempts[index].isRemembered = world.standby.phase == .behind
        add(Step(.recordUnknown, index), next)
    }
}

extension Row {
    mutating func queue() {
        self = Row(state: .queued, attempt: attempt, lostClaims: lostClaims)
    }
}

extension World {
    mutating func becomeUnknown(_ job: Int, since age: Int8) {
        rows[job].state = .unknown
        rows[job].lease = 0
        rows[job].age = min(Row.oldest, age)
        rows[job].lookups = 0
        rows[job].sinceLookup = 0
        setLookupAt(job, 0)
    }

    /// Writes `next_lookup_at`, and updates whether each lookup under way is still the current one.
    mutating func setLookupAt(_ job: Int, _ ticks: Int8) {
        rows[job].lookupAt = ticks
        for slot in 0..<World.lookups where lookups[slot].verdict != .none && Int(lookups[slot].job) == job {
            lookups[slot].isCurrent = lookups[slot].token == ticks
        }
    }
}
