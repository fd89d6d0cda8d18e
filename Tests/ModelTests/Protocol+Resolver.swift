import OTP

extension Protocol {
    /// Lookups that begin now: `state = 'unknown'` and `next_lookup_at` is due. Taking one sets `next_lookup_at` to the
    /// end of its lease.
    mutating func takeLooks(_ world: World, _ job: Int) {
        let row = world.rows[job]
        guard row.state == .unknown, row.lookAt <= 0 else { return }

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
                    Step(.lookAndAdopt, job), next,
                    violates: self.job(of: index) == job ? nil : .wrongMessage)
            }
        }

        // The list could not be fetched. Taken and recorded at once, because any other step may come before it.
        var next = world
        next.setLookAt(job, Self.ticks(ResolutionRule.afterUnclear))
        add(Step(.lookInVain, job), next)

        guard !surelyListed else { return }
        let underway = (0..<World.looks).count { world.looks[$0].verdict != .none }
        guard underway < setup.resolvers else { return }
        for slot in 0..<World.looks where world.looks[slot].verdict == .none {
            next = world
            next.setLookAt(job, Setup.lookLease)
            let verdict = verdicts[
                Self.place(row.age, row.looks, holds(.onlyLostClaimsPoison) ? row.lostClaims : row.attempt)]
            next.looks[slot] = PendingLook(
                verdict: verdict, job: Int8(job), attempt: row.attempt, token: Setup.lookLease, isCurrent: true)
            let decides = verdict == .resend || verdict == .fail
            if !decides, fencesOutLooks {
                // Recorded at once, as above: no other worker looks meanwhile.
                write(verdict, next, slot, Step(.lookAndMiss, job))
                return
            }
            let isTooClose = decides && row.sinceLook < Row.farApart
            add(Step(.lookAndMiss, job), next, violates: isTooClose ? .looksTooClose : nil)
            return
        }
    }

    /// Lookups under way end, with their verdict or with their worker.
    mutating func endLooks(_ world: World) {
        for slot in 0..<World.looks where world.looks[slot].verdict != .none {
            var next = world
            next.looks[slot] = PendingLook()
            add(Step(.dropLook, slot), next)
            let row = world.rows[Int(world.looks[slot].job)]
            let isOwn =
                row.state == .unknown
                && (world.looks[slot].isCurrent || !holds(.verdictFencedByToken))
                && (world.looks[slot].attempt == row.attempt || !holds(.verdictFencedByAttempt))
            if isOwn {
                write(world.looks[slot].verdict, world, slot, Step(.writeVerdict, slot))
            } else {
                // The verdict changes nothing, as if it were dropped.
                add(Step(.writeVerdict, slot), next)
            }
        }
    }

    private mutating func write(_ verdict: PendingLook.Verdict, _ world: World, _ slot: Int, _ step: Step) {
        let job = Int(world.looks[slot].job)
        var next = world
        next.looks[slot] = PendingLook()
        var violation: Property?
        switch verdict {
        case .none: return
        case .lookUpAgain(let ticks): next.setLookAt(job, ticks)
        case .countAndLookAgain:
            next.rows[job].looks = min(3, next.rows[job].looks + 1)
            next.rows[job].sinceLook = 0
            next.setLookAt(job, Self.ticks(ResolutionRule.secondLook))
        case .resend: next.rows[job].queue()
        case .fail:
            next.rows[job].state = world.rows[job].lostClaims >= Poison.maximumClaims ? .poisoned : .failed
            for index in attempts(of: job) where world.attempts[index].isAccepted || world.attempts[index].isUnderway {
                violation = .failedThoughSent
            }
        }
        add(step, next, violates: violation)
    }
}

// MARK: The real rule

extension Protocol {
    private static func place(_ age: Int8, _ looks: Int8, _ lostClaims: Int8) -> Int {
        (Int(age) * 4 + Int(looks)) * 4 + Int(lostClaims)
    }

    static func verdicts(_ setup: Setup) -> [PendingLook.Verdict] {
        let rule = ResolutionRule(resends: setup.resends)
        var verdicts: [PendingLook.Verdict] = []
        for age in 0...Row.oldest {
            for looks in 0..<4 {
                for lostClaims in 0..<4 {
                    var subject = ResolutionRule.Subject(
                        age: Setup.tick * Int(age), looks: looks, lostClaims: lostClaims)
                    if setup.broken.contains(.grace) { subject.age = max(subject.age, ResolutionRule.grace) }
                    if setup.broken.contains(.secondLook) { subject.looks = ResolutionRule.neededLooks - 1 }
                    verdicts.append(PendingLook.Verdict(rule.decide(.absent, subject)))
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

extension PendingLook.Verdict {
    init(_ step: ResolutionStep) {
        self =
            switch step {
            case .adopt: preconditionFailure("nothing was found, and the rule adopts it")
            case .lookUpAgain(let delay, let isCounted):
                isCounted ? .countAndLookAgain : .lookUpAgain(after: Protocol.ticks(delay))
            case .resend: .resend
            case .fail: .fail
            }
    }
}
