extension Protocol {
    mutating func passTime(_ world: World) {
        add(Step(.tick), tick(world, clocksRun: true))
        if !holds(.clockNeverStops) { add(Step(.tickOnStoppedClocks), tick(world, clocksRun: false)) }
        if !world.isDead {
            var next = world
            next.isDead = true
            add(Step(.codeDies), next)
        }
        if setup.failsOver, !world.hasFailedOver {
            var next = world
            next.hasFailedOver = true
            next.passDatabaseTime(Setup.clockJump)
            add(Step(.databaseFailsOver), next)
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

extension Row {
    mutating func passTime(_ ticks: Int8) {
        switch state {
        case .sending: lease = max(Row.longAgo, lease - ticks)
        case .unknown:
            age = min(Row.oldest, age + ticks)
            lookupAt = max(0, lookupAt - ticks)
            sinceLookup = min(Row.farApart, sinceLookup + ticks)
        case .queued, .accepted, .failed, .poisoned, .expired, .canceled: break
        }
    }
}

extension World {
    mutating func passDatabaseTime(_ ticks: Int8) {
        for job in 0..<World.jobs { rows[job].passTime(ticks) }
        standby.row.passTime(ticks)
        for slot in 0..<World.lookups where lookups[slot].verdict != .none {
            lookups[slot].token = max(-1, lookups[slot].token - ticks)
        }
    }
}
