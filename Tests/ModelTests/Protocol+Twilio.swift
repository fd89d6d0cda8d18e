extension Protocol {
    /// The possible events of an attempt's body on the way to Twilio. It is lost if its time ends.
    mutating func twilioActs(_ world: World, _ index: Int) {
        let job = job(of: index)
        switch world.attempts[index].body {
        case .nothing: break
        case .underway:
            var next = world
            next.attempts[index].body = .accepted(unlisted: setup.listLag)
            var isSecond = false
            for other in attempts(of: job) where world.attempts[other].isAccepted { isSecond = true }
            add(Step(.accept, index), next, violates: isSecond ? .twice : nil)
            if world.attempts[index].phase == .waiting {
                next = world
                next.attempts[index].body = .nothing
                next.attempts[index].phase = .unsent
                add(Step(.refuse, index), next)
            }
        case .accepted:
            if !world.attempts[index].isRecorded { recordMessage(world, index) }
        }
    }

    /// `FinishAccepted`, `otp.record_status`: never fenced. Repetitions change nothing.
    private mutating func recordMessage(_ world: World, _ index: Int) {
        let job = job(of: index)
        var next = world
        if holds(.sidSettlesAlways) || world.rows[job].state == .sending && world.rows[job].holder == index {
            next.attempts[index].isRecorded = true
            if world.rows[job].state.isLive { next.rows[job].state = .accepted }
        }
        let isKept = next.attempts[index].isRecorded && !next.rows[job].state.isLive
        add(Step(.recordMessage, index), next, violates: isKept ? nil : .evidenceLost)
    }
}
