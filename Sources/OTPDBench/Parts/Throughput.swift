internal import EventLoop

/// Jobs per second with many queued, and what they cost.
struct Throughput: Codable {
    var jobs: Int
    /// Arrivals at the simulator per second, from the first to the last.
    var jobsPerSecond: Double
    /// Until the last is recorded as accepted, counted from the first arrival.
    var donePerSecond: Double
    /// From the start of the process to the first arrival.
    var startMilliseconds: Double
    /// Processor milliseconds per 1,000 sends; otpd's with its start.
    var otpdCPU: Double
    var postgresCPU: Double
    var simulatorCPU: Double
    var peakMemoryMB: Double
    /// Requests to the simulator that were no creates: the poller's.
    var fetches: Int
    /// Processors that others kept busy meanwhile.
    var cpuOfOthers: Double
    var exactlyOnce: ExactlyOnce
    /// Of the same round: otpd's own statements without HTTP, and wrk against the simulator without a queue.
    var queueAlonePerSecond: Double
    var httpAlonePerSecond: Double?

    static func measure(_ bench: Measurement) async throws -> Throughput {
        let (database, simulator, loop, jobs) = (bench.database, bench.simulator, bench.loop, bench.plan.jobs)
        try await database.reset()
        try await database.fill(count: jobs)
        let queueAlone = try await QueueAlone.perSecond(database, jobs: jobs, on: loop)
        try simulator.reset()
        let httpAlone = try await HTTPAlone.perSecond(simulator, script: bench.plan.wrkScript, on: loop)

        try await database.reset()
        try simulator.reset()
        try await database.fill(count: jobs)
        let load = MachineLoad.now()
        let before = (database.server.cpuSeconds(), bench.simulatorTree.cpuSeconds(), bench.own.cpuSeconds())
        let start = WallClock.now()
        let otpd = try Otpd(bench.plan.otpd, on: loop)
        try await otpd.until("\(jobs) jobs were sent", atMost: .seconds(180)) {
            try simulator.statistics().numbers >= jobs
        }
        try await otpd.until("\(jobs) jobs were recorded", atMost: .seconds(30), every: .milliseconds(3)) {
            try await database.isDrained()
        }
        let done = WallClock.now()
        let tree = ProcessTree(root: otpd.process.pid)
        let spent = (
            otpd: tree.cpuSeconds(), postgres: database.server.cpuSeconds() - before.0,
            simulator: bench.simulatorTree.cpuSeconds() - before.1, own: bench.own.cpuSeconds() - before.2
        )
        let others = MachineLoad.now().others(
            since: load, own: spent.otpd + spent.postgres + spent.simulator + spent.own)
        let memory = otpd.peakMemory
        try await otpd.stop()
        let statistics = try simulator.statistics()
        let (check, arrivals) = try await ExactlyOnce.check(jobs: jobs, simulator: simulator, database: database)
        func perThousand(_ seconds: Double) -> Double { seconds * 1e6 / Double(jobs) }
        return Throughput(
            jobs: jobs,
            jobsPerSecond: Double(arrivals.count - 1) / max(Double(arrivals.last - arrivals.first) / 1e6, 1e-6),
            donePerSecond: Double(jobs) / max(Double(done - arrivals.first) / 1e6, 1e-6),
            startMilliseconds: Double(arrivals.first - start) / 1000,
            otpdCPU: perThousand(spent.otpd), postgresCPU: perThousand(spent.postgres),
            simulatorCPU: perThousand(spent.simulator), peakMemoryMB: memory,
            fetches: statistics.requests - statistics.creates, cpuOfOthers: others, exactlyOnce: check,
            queueAlonePerSecond: queueAlone, httpAlonePerSecond: httpAlone)
    }
}
