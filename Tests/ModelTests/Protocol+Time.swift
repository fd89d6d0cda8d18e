extension Protocol {
    mutating func passTime(_ world: World) {
        add(Step(.tick), tick(world, clocksRun: true))
        if !holds(.clockNeverStops) { add(Step(.tickOnStoppedClocks), tick(world, clocksRun: false)) }
        if !world.isDead {
            var next = world
            next.isDead = true
            add(Step(.codeDies), next)
        }
        if setup.forgetsEndings, !world.hasFailedOver { forgetEndings(world) }
        if setup.failsOver, !world.hasFailedOver {
            var next = world
            next.hasFailedOver = true
            next.passDatabaseTime(Setup.clockJump)
            add(Step(.databaseFailsOver), next)
        }
    }

    /// The promoted standby has a job as `sending` that had ended as accepted. Its lease may have any time left.
    private mutating func forgetEndings(_ world: World) {
        for job in 0..<setup.jobs where world.rows[job].state == .accepted {
            for lease in [0, Setup.lease] {
                var next = world
                next.hasFailedOver = true
                next.rows[job].state = .sending
                next.rows[job].lease = lease
                for index in attempts(of: job) {
                    next.attempts[index].isRecorded = false
                    // It may have ended a moment ago.
                    if next.attempts[index].isAccepted {
                        next.attempts[index].body = .accepted(unlisted: setup.listLag)
                    }
                }
                add(Step(.databaseForgetsEnding, job), next)
            }
        }
    }

    func tick(_ world: World, clocksRun: Bool) -> World {
        var next = world
        next.passDatabaseTime(1)
        for index in 0..<World.attempts {
            if clocksRun {
                if holds(.trustFromBeforeClaim) || next.attempts[index].phase != .held {
                    next.attempts[index].trust = max(Attempt.past, next.attempts[index].trust - 1)
                }
                next.attempts[index].http = max(Attempt.past, next.attempts[index].http - 1)
            }
            switch next.attempts[index].body {
            case .underway(let ticks): next.attempts[index].body = ticks > 0 ? .underway(ticks - 1) : .nothing
            case .accepted(let ticks): next.attempts[index].body = .accepted(unlisted: max(0, ticks - 1))
            case .nothing: break
            }
        }
        return next
    }
}

extension World {
    mutating func passDatabaseTime(_ ticks: Int8) {
        for job in 0..<World.jobs {
            switch rows[job].state {
            case .sending: rows[job].lease = max(Row.longAgo, rows[job].lease - ticks)
            case .unknown:
                rows[job].age = min(Row.oldest, rows[job].age + ticks)
                rows[job].lookupAt = max(0, rows[job].lookupAt - ticks)
                rows[job].sinceLookup = min(Row.farApart, rows[job].sinceLookup + ticks)
            case .queued, .accepted, .failed, .poisoned, .expired, .canceled: break
            }
        }
        for slot in 0..<World.lookups where lookups[slot].verdict != .none {
            lookups[slot].token = max(-1, lookups[slot].token - ticks)
        }
    }
}
