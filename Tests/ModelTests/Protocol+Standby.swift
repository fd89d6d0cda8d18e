extension Protocol {
    /// An asynchronous standby falls behind at any moment, and takes over at any later one. Then the workers write what
    /// they know, each in its own time.
    mutating func standbyActs(_ world: World) {
        var next = world
        switch world.standby.phase {
        case .upToDate:
            next.standbyFallsBehind()
            add(Step(.standbyFallsBehind), next)
        case .behind:
            next.standbyTakesOver()
            add(Step(.standbyTakesOver), next)
        case .promoted:
            for index in 0..<World.attempts where world.attempts[index].mustRecall { recall(world, index) }
        }
    }

    /// `Reasserter`: a job that Twilio may have becomes unknown if the database knows fewer attempts of it, and a job
    /// that waits in the worker's hands goes back. A known SID is an event of its own (`recordMessage`).
    private mutating func recall(_ world: World, _ index: Int) {
        let (job, attempt) = (job(of: index), world.attempts[index])
        var next = world
        next.attempts[index].mustRecall = false
        next.attempts[index].isRemembered = false
        let row = world.rows[job]
        switch attempt.phase {
        case .held:
            if holds(.heldIsReleased) {
                next.attempts[index].phase = .over
                if row.state == .sending, row.holder == index { next.rows[job].queue() }
            }
        case .handedOver, .inTurn, .fed, .waiting, .over:
            let isForgotten = row.attempt < attempt.number
            if isForgotten, row.state == .queued || row.state.isLive && holds(.recallInAnyState) {
                let rest = holds(.recalledFromTrust) ? attempt.trust : 0
                next.becomeUnknown(job, since: attempt.phase == .over ? mostAge(attempt.body) : -rest)
                next.rows[job].attempt = attempt.number
                next.rows[job].holder = -1
            }
        case .none, .unsent: break
        }
        add(Step(.recall, index), next)
    }

    /// The longest time since nothing of an ended attempt could leave any more.
    private func mostAge(_ body: Attempt.Body) -> Int8 {
        switch body {
        case .nothing: Row.oldest
        case .underway(let left): max(0, Setup.underway - left)
        case .accepted(let unlisted): Setup.underway + setup.listLag - unlisted
        }
    }
}

extension World {
    fileprivate mutating func standbyFallsBehind() {
        standby.phase = .behind
        standby.row = rows[0]
        for index in 0..<World.attempts where attempts[index].isRecorded { standby.recorded |= 1 << index }
        for slot in 0..<World.lookups { lookups[slot].isCurrentOnStandby = lookups[slot].isCurrent }
    }

    fileprivate mutating func standbyTakesOver() {
        rows[0] = standby.row
        for index in 0..<World.attempts {
            attempts[index].isRecorded = standby.recorded & 1 << index != 0
            switch attempts[index].phase {
            case .held, .handedOver, .inTurn, .fed, .waiting: attempts[index].mustRecall = true
            case .over: attempts[index].mustRecall = attempts[index].isRemembered
            case .none, .unsent: break
            }
        }
        for slot in 0..<World.lookups {
            lookups[slot].isCurrent = lookups[slot].isCurrentOnStandby
            lookups[slot].isCurrentOnStandby = false
        }
        standby = Standby()
        standby.phase = .promoted
    }
}
