import OTP

extension Protocol {
    /// Lookups that begin now: `state = 'unknown'` and `next_lookup_at` is due. Taking one sets `next_lookup_at` to the
    /// end of its lease.
    mutating func takeLookups(_ world: World, _ job: Int) {
        let row = world.rows[job]
        guard row.state == .unknown, row.lookupAt <= 0 else { return }

        // A verification has one text, so a lookup cannot tell whose message it sees. Recorded messages are skipped.
        var surelyListed = false
        if holds(.listIsBelieved) {
            for index in 0..<World.attempts where !world.attempts[index].isRecorded {
                guard case .accepted(let unlisted) = world.attempts[index].body else { continue }
                if unlisted == 0 { surelyListed = true }
                var next = world
                next.attempts[index].isRecorded = true
                next.rows[job].state = .accepted
                add(
                    Step(.lookupAdopts, job), next,
                    violates: self.job(of: index) == job ? nil : .wrongMessage)
            }
        }

        // The list could not be fetched. Taken and recorded at once, because any other step may come before it.
        var next = world
        next.setLookupAt(job, Self.ticks(ResolutionRule.afterUnclear))
        add(Step(.lookupFails, job), next)

        guard !surelyListed else { return }
        let underway = (0..<World.lookups).count { world.lookups[$0].verdict != .none }
        guard underway < setup.concurrentLookups else { return }
        for slot in 0..<World.lookups where world.lookups[slot].verdict == .none {
            next = world
            next.setLookupAt(job, Setup.lookupLease)
            let verdict = verdicts[
                Self.place(row.age, row.lookups, holds(.onlyLostClaimsPoison) ? row.lostClaims : row.attempt)]
            next.lookups[slot] = PendingLookup(
                verdict: verdict, job: Int8(job), attempt: row.attempt, token: Setup.lookupLease, isCurrent: true)
            let decides = verdict == .resend || verdict == .fail
            if !decides, fencesOutLookups, !setup.forgets {
                // Recorded at once, as above: no other worker looks it up meanwhile.
                write(verdict, next, slot, Step(.lookupMisses, job))
                return
            }
            let isTooClose = decides && row.sinceLookup < Row.farApart
            add(Step(.lookupMisses, job), next, violates: isTooClose ? .lookupsTooClose : nil)
            return
        }
    }

    /// Lookups under way end, with their verdict or with their worker.
    mutating func endLookups(_ world: World) {
        for slot in 0..<World.lookups where world.lookups[slot].verdict != .none {
            var next = world
            next.lookups[slot] = PendingLookup()
            add(Step(.dropLookup, slot), next)
            let row = world.rows[Int(world.lookups[slot].job)]
            let isOwn =
                row.state == .unknown
                && (world.lookups[slot].isCurrent || !holds(.verdictFencedByToken))
                && (world.lookups[slot].attempt == row.attempt || !holds(.verdictFencedByAttempt))
            if isOwn {
                write(world.lookups[slot].verdict, world, slot, Step(.writeVerdict, slot))
            } else {
                // The verdict changes nothing, as if it were dropped.
                add(Step(.writeVerdict, slot), next)
            }
        }
    }

    private mutating func write(_ verdict: PendingLookup.Verdict, _ world: World, _ slot: Int, _ step: Step) {
        let job = Int(world.lookups[slot].job)
        var next = world
        next.lookups[slot] = PendingLookup()
        var violation: Property?
        switch verdict {
        case .none: return
        case .lookUpAgain(let ticks): next.setLookupAt(job, ticks)
        case .countAndLookUpAgain:
            next.rows[job].lookups = min(3, next.rows[job].lookups + 1)
            next.rows[job].sinceLookup = 0
            next.setLookupAt(job, Self.ticks(ResolutionRule.secondLookup))
        case .resend: next.rows[job].queue()
        case .fail:
            next.rows[job].state = world.rows[job].lostClaims >= Poison.maximumClaims ? .poisoned : .failed
            if mayBeSent(job, world) { violation = .failedThoughSent }
        }
        add(step, next, violates: violation)
    }
}

// MARK: The real rule

extension Protocol {
    private static func place(_ age: Int8, _ lookups: Int8, _ lostClaims: Int8) -> Int {
        (Int(age - Row.youngest) * 4 + Int(lookups)) * 4 + Int(lostClaims)
    }

    static func verdicts(_ setup: Setup) -> [PendingLookup.Verdict] {
        let rule = ResolutionRule(resends: setup.resends)
        var verdicts: [PendingLookup.Verdict] = []
        for age in Row.youngest...Row.oldest {
            for lookups in 0..<4 {
                for lostClaims in 0..<4 {
                    var subject = ResolutionRule.Subject(
                        age: Setup.tick * Int(age), lookups: lookups, lostClaims: lostClaims)
                    if setup.broken.contains(.grace) { subject.age = max(subject.age, ResolutionRule.grace) }
                    if setup.broken.contains(.secondLookup) { subject.lookups = ResolutionRule.neededLookups - 1 }
                    verdicts.append(PendingLookup.Verdict(rule.decide(.absent, subject)))
                }
            }
        }
        return verdicts
    }

    /// Rounded up, because a step may come later than its time, never earlier.
    static func ticks(_ duration: Duration) -> Int8 {
        let (ticks, rest) = duration.components.seconds.quotientAndRemainder(
            dividingBy: Setup.tick.components.seconds)
        return Int8(ticks) + (rest > 0 ? 1 : 0)
    }
}

extension PendingLookup.Verdict {
    init(_ step: ResolutionStep) {
        self =
            switch step {
            case .adopt: preconditionFailure("nothing was found, and the rule adopts it")
            case .lookUpAgain(let delay, let isCounted):
                isCounted ? .countAndLookUpAgain : .lookUpAgain(after: Protocol.ticks(delay))
            case .resend: .resend
            case .fail: .fail
            }
    }
}
