/// Visits every reachable state of a route, breadth first, so that a counter-example is a shortest one.
struct RouteSearch {
    struct Result {
        var states = 0
        var steps = 0
        /// The kinds of steps that occurred, and the states of jobs, one bit each.
        var kinds: UInt64 = 0
        var jobStates: UInt64 = 0
        var violation: RouteProperty?
        /// The way to the violation, one line for each step.
        var path: [String] = []
    }

    private var rules: RouteProtocol
    private var visited = VisitedSet()
    /// The predecessor of each state.
    private var origins: [UInt32] = [0]
    /// The next state of each state if nothing fails from now on, or the state itself if nothing more happens then.
    private var wellNext: [UInt32] = []

    init(_ setup: RouteSetup) { rules = RouteProtocol(setup) }

    static func run(_ setup: RouteSetup) -> Result {
        var search = RouteSearch(setup)
        return search.run()
    }

    private mutating func run() -> Result {
        var result = Result()
        _ = visited.insert(rules.start().key)
        var index = 0
        while index < visited.count {
            let world = RouteWorld(visited.keys[index])
            for job in 0..<RouteWorld.jobs { result.jobStates |= 1 << world.jobs[job].state.rawValue }
            rules.explore(world)
            var (next, order) = (UInt32(index), Int.max)
            for successor in rules.successors {
                result.steps += 1
                result.kinds |= 1 << successor.step.kind
                if let violation = successor.violation {
                    result.states = visited.count
                    result.violation = violation
                    result.path = path(to: index) + ["\(successor.step)"]
                    return result
                }
                let (place, isNew) = visited.insert(successor.world.key)
                if isNew { origins.append(UInt32(index)) }
                if let rank = successor.step.orderWhenWell, rank < order, place != index {
                    (next, order) = (UInt32(place), rank)
                }
            }
            wellNext.append(next)
            index += 1
        }
        result.states = visited.count
        findUnended(&result)
        return result
    }

    /// Finds a state from which the route does not end as it should.
    private func findUnended(_ result: inout Result) {
        var ends = [UInt32](repeating: .max, count: visited.count)
        var mark = [UInt32](repeating: .max, count: visited.count)
        var passed: [Int] = []
        for start in 0..<visited.count {
            var state = start
            passed.removeAll(keepingCapacity: true)
            while ends[state] == .max, wellNext[state] != state {
                if mark[state] == start {
                    fail(.stuck, start, RouteWorld(visited.keys[state]), &result)
                    return
                }
                mark[state] = UInt32(start)
                passed.append(state)
                state = Int(wellNext[state])
            }
            let end = ends[state] == .max ? UInt32(state) : ends[state]
            ends[state] = end
            for state in passed { ends[state] = end }
            let last = RouteWorld(visited.keys[Int(end)])
            if let property = rules.judge(RouteWorld(visited.keys[start]), endingAs: last),
                rules.setup.properties.contains(property)
            {
                fail(property, start, last, &result)
                return
            }
        }
    }

    private func fail(_ property: RouteProperty, _ state: Int, _ last: RouteWorld, _ result: inout Result) {
        result.violation = property
        result.path = path(to: state) + ["and then, without failures, at last: \(last.words)"]
    }

    private func path(to state: Int) -> [String] {
        var states = [state]
        while let first = states.last, first != 0 { states.append(Int(origins[first])) }
        states.reverse()
        var rules = rules
        return zip(states, states.dropFirst()).map { from, to in
            rules.explore(RouteWorld(visited.keys[from]))
            let step = rules.successors.first { $0.world.key == visited.keys[to] }!.step
            return "\(step)\t[\(RouteWorld(visited.keys[to]).words)]"
        }
    }
}

extension RouteProtocol {
    /// The property violated if, without failures after `world`, the last state is `last`.
    func judge(_ world: RouteWorld, endingAs last: RouteWorld) -> RouteProperty? {
        guard world.life != .dead else { return nil }
        for job in 0..<last.count where last.jobs[job].state.isLive {
            // While its channel is down, it waits until its code expires.
            if setup.firstChannelIsDown, last.jobs[job].step == 1 { continue }
            return .stuck
        }
        guard world.isOpen, let first = (0..<last.count).last(where: { last.jobs[$0].step == 1 }) else { return nil }
        let hasFailed = last.jobs[first].state == .failed || last.jobs[first].failureIsRecorded
        guard setup.waits || hasFailed else { return nil }
        guard let second = last.follower(of: first) else { return .lost }
        return [.accepted, .failed].contains(last.jobs[second].state) ? nil : .lost
    }
}

extension RouteWorld {
    var words: String {
        var parts: [String] = []
        for index in 0..<count {
            let job = jobs[index]
            parts.append(
                "job \(index): step \(job.step) \(job.state), \(job.body)"
                    + (job.failureIsRecorded ? ", failure recorded" : "") + (job.hasTimer ? ", timer" : ""))
        }
        for index in 0..<Self.transactions where transactions[index].kind != .none {
            let transaction = transactions[index]
            parts.append(
                "\(transaction.kind) of job \(transaction.job) \(transaction.phase)"
                    + (transaction.begins ? ", begins" : ""))
        }
        if ending != .none { parts.append("\(ending)") }
        if life != .enough { parts.append("life \(life)") }
        return parts.joined(separator: "; ")
    }
}
