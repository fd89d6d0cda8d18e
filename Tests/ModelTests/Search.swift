/// Visits every reachable state, breadth first, so that a counter-example is a shortest one.
struct Search {
    /// The result of a search.
    struct Result {
        var states = 0
        var steps = 0
        /// The greatest distance of any state from the start, in steps.
        var depth = 0
        /// The kinds of steps that occurred, and the states of jobs, one bit each.
        var kinds: UInt64 = 0
        var rowStates: UInt64 = 0
        var counterExample: CounterExample?
    }

    private var rules: Protocol
    private var visited = VisitedSet()
    /// The predecessor of each state.
    private var origins: [UInt32] = []
    /// The next state of each state if nothing fails from now on, or the state itself if nothing more happens then.
    private var wellNext: [UInt32] = []

    init(_ setup: Setup) { rules = Protocol(setup) }

    static func run(_ setup: Setup) -> Result {
        var search = Search(setup)
        return search.run()
    }

    private mutating func run() -> Result {
        var result = Result()
        _ = visited.insert(rules.start().key)
        origins.append(0)
        var index = 0
        var levelEnd = 1
        while index < visited.count {
            if index == levelEnd {
                result.depth += 1
                levelEnd = visited.count
            }
            let world = World(visited.keys[index])
            for job in 0..<rules.setup.jobs { result.rowStates |= 1 << world.rows[job].state.rawValue }
            rules.explore(world)
            var next = UInt32(index)
            var order = Int.max
            for successor in rules.successors {
                result.steps += 1
                result.kinds |= 1 << successor.step.kind.rawValue
                if let property = successor.violation {
                    result.states = visited.count
                    result.counterExample = counterExample(property, to: index, then: successor)
                    return result
                }
                let (place, isNew) = visited.insert(successor.world.key)
                if isNew { origins.append(UInt32(index)) }
                if let rank = successor.step.kind.orderWhenWell, rank < order, place != index {
                    order = rank
                    next = UInt32(place)
                }
            }
            wellNext.append(next)
            index += 1
        }
        result.states = visited.count
        if rules.setup.properties.contains(.stuck), let (property, state) = findUnended() {
            result.counterExample = counterExample(property, to: state, then: nil)
        }
        return result
    }

    private func counterExample(_ property: Property, to state: Int, then last: Successor?) -> CounterExample {
        var path = [state]
        while let first = path.last, first != 0 { path.append(Int(origins[first])) }
        path.reverse()
        let worlds = path.map { World(visited.keys[$0]) }
        var rules = rules
        var steps: [Step] = []
        for (from, to) in zip(worlds, path.dropFirst()) {
            rules.explore(from)
            steps.append(rules.successors.first { $0.world.key == visited.keys[to] }!.step)
        }
        guard let last else { return CounterExample(property: property, steps: steps, worlds: worlds) }
        return CounterExample(property: property, steps: steps + [last.step], worlds: worlds + [last.world])
    }

    // MARK: Every job ends

    /// Finds a state from which a job does not end as it should. Without further failures each state has one next
    /// state, so following all of them takes one step for each state.
    private func findUnended() -> (Property, Int)? {
        var ends = [UInt32](repeating: .max, count: visited.count)
        var mark = [UInt32](repeating: .max, count: visited.count)
        var path: [Int] = []
        var seenAlone: Set<UInt64> = []
        for start in 0..<visited.count {
            // The last state without further failures.
            var state = start
            path.removeAll(keepingCapacity: true)
            while ends[state] == .max, wellNext[state] != state {
                guard mark[state] != start else { return (.stuck, start) }
                mark[state] = UInt32(start)
                path.append(state)
                state = Int(wellNext[state])
            }
            let end = ends[state] == .max ? UInt32(state) : ends[state]
            ends[state] = end
            for passed in path { ends[passed] = end }

            let world = World(visited.keys[start])
            let last = World(visited.keys[Int(end)])
            if let property = rules.judge(world, endingAs: last) { return (property, start) }
            // Also checks that sweeps end every job if the code expires and only a sweeping worker is left.
            if seenAlone.insert(world.rowsAlone).inserted, !rules.sweepEnds(world) { return (.stuck, start) }
        }
        return nil
    }
}

extension Protocol {
    /// The property violated if, without failures after `world`, the last state is `last`.
    func judge(_ world: World, endingAs last: World) -> Property? {
        var isCutOff = false
        for job in 0..<setup.jobs {
            let end = last.rows[job].state
            // This is the bound of the exploration, not of the protocol.
            if end == .queued, nextAttempt(of: job, last) == nil { isCutOff = true }
            if end.isLive, !isCutOff { return .stuck }
            for index in attempts(of: job) where last.attempts[index].isAccepted && !last.attempts[index].isRecorded {
                return .evidenceLost
            }
            // A live job with a live code is delivered, or has crashed three workers.
            guard world.rows[job].state.isLive, !world.isDead, setup.resends else { continue }
            if end == .failed || end == .expired || end == .canceled { return .notDelivered }
        }
        return nil
    }

    /// Whether sweeps alone end every job, once the code has expired.
    func sweepEnds(_ world: World) -> Bool {
        var world = world
        world.isDead = true
        world.standby = Standby()
        for index in 0..<World.attempts { world.attempts[index] = Attempt() }
        for slot in 0..<World.lookups { world.lookups[slot] = PendingLookup() }
        var sweeper = self
        for _ in 0..<2 * Int(Setup.lease) + 2 {
            for job in 0..<setup.jobs {
                sweeper.explore(world)
                for successor in sweeper.successors
                where successor.step == Step(.sweepLostLease, job) || successor.step == Step(.sweepDeadCode, job) {
                    world = successor.world
                }
            }
            world = tick(world, clocksRun: true)
        }
        for job in 0..<setup.jobs where world.rows[job].state.isLive { return false }
        return true
    }
}

extension World {
    /// The rows alone, without the other parts of the state.
    var rowsAlone: UInt64 {
        var world = self
        for slot in 0..<World.lookups { world.lookups[slot] = PendingLookup() }
        return world.key.first
    }
}
