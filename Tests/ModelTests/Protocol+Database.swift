extension Protocol {
    /// The claim, the sweep, a cancel.
    mutating func databaseActs(_ world: World, _ job: Int) {
        let row = world.rows[job]
        var next = world
        switch row.state {
        case .queued:
            if let attempt = nextAttempt(of: job, world), canClaim(world, job) {
                next.rows[job].state = .sending
                next.rows[job].attempt += 1
                next.rows[job].lease = Setup.lease
                next.rows[job].holder = Int8(attempt)
                next.attempts[attempt].phase = .held
                next.attempts[attempt].number = row.attempt + 1
                next.attempts[attempt].trust = Setup.lease
                add(Step(.claim, job), next)
            }
            next = world
            next.rows[job].state = .canceled
            add(Step(.cancel, job), next)
            sweepDeadCode(world, job, .expired)
        case .sending:
            giveBack(world, job)
            guard row.lease <= 0, holds(.lostLeasesSwept) else { return }
            switch setup.unknownSince {
            case .leaseEnd: next.becomeUnknown(job, since: -row.lease)
            case .sweep: next.becomeUnknown(job, since: 0)
            case .claim: next.becomeUnknown(job, since: Setup.lease - row.lease)
            }
            next.rows[job].lostClaims = min(3, row.lostClaims + 1)
            add(Step(.sweepLostLease, job), next)
        case .unknown:
            sweepDeadCode(world, job, .failed)
        case .accepted, .failed, .poisoned, .expired, .canceled: break
        }
    }

    /// A worker releases jobs that it does not have in hand: only jobs that it never handed over, so no body has left.
    private mutating func giveBack(_ world: World, _ job: Int) {
        guard setup.forgets else { return }
        let holder = world.attempts[Int(world.rows[job].holder)]
        guard holder.phase == .over, holder.body == .nothing || !holds(.handedOverIsNotGivenBack) else { return }
        var next = world
        next.rows[job].queue()
        add(Step(.giveBack, job), next)
    }

    private func canClaim(_ world: World, _ job: Int) -> Bool {
        guard !world.isDead else { return false }
        if holds(.recallBeforeClaim), (0..<World.attempts).contains(where: { world.attempts[$0].mustRecall }) {
            return false
        }
        guard holds(.oneOfAVerification) else { return true }
        for lower in 0..<job where world.rows[lower].state.isLive { return false }
        return true
    }

    private mutating func sweepDeadCode(_ world: World, _ job: Int, _ state: Row.State) {
        guard world.isDead else { return }
        var next = world
        next.rows[job].state = state
        add(Step(.sweepDeadCode, job), next)
    }
}
