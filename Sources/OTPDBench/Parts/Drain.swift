internal import EventLoop

/// Queues jobs, then starts workers, until the last job is recorded: the speed and its cost.
struct Drain: Codable {
    var jobs: Int
    var processes: Int
    /// Arrivals at the simulator per second, from the first to the last.
    var jobsPerSecond: Double
    /// Jobs per second from the first arrival until the last job is recorded as accepted.
    var donePerSecond: Double
    /// From the start of the process to the first arrival.
    var startMilliseconds: Double
    /// Processor milliseconds per 1,000 sends, of all processes together. otpd's include its start.
    var otpdCPU: Double
    var postgresCPU: Double
    var simulatorCPU: Double
    /// The most memory of any one process.
    var peakMemoryMB: Double
    /// Requests to the simulator other than creates. The poller makes them.
    var fetches: Int
    /// Processors that other processes kept busy meanwhile.
    var cpuOfOthers: Double
    var exactlyOnce: ExactlyOnce

    /// Processors that otpd, PostgreSQL and the simulator kept busy meanwhile. If the processors are the limit, it is
    /// all of them.
    var processorsBusy: Double { donePerSecond * (otpdCPU + postgresCPU + simulatorCPU) / 1e6 }

    static func measure(
        _ bench: Bench, jobs: Int, processes: Int = 1, maxInFlight: Int? = nil, providerLatency: Int = 0,
        afresh: Bool = true
    ) async throws -> Drain {
        let (database, simulator, loop) = (bench.database, bench.simulator, bench.loop)
        if afresh { try await database.reset() }
        let earlier = try await database.endings().accepted
        try simulator.reset(latency: providerLatency)
        try await database.fill(count: jobs)
        let load = MachineLoad.now()
        let before = (database.server.cpuSeconds(), bench.simulatorTree.cpuSeconds(), bench.own.cpuSeconds())
        let start = WallClock.now()
        let workers = try (0..<processes).map { _ in try Otpd(bench.plan.otpd, on: loop, maxInFlight: maxInFlight) }
        try await workers[0].until("\(jobs) jobs were sent", atMost: .seconds(180)) {
            try simulator.statistics().numbers >= jobs
        }
        try await workers[0].until("\(jobs) jobs were recorded", atMost: .seconds(30), every: .milliseconds(3)) {
            try await database.isDrained()
        }
        let done = WallClock.now()
        let spent = (
            otpd: workers.reduce(0) { $0 + ProcessTree(root: $1.process.pid).cpuSeconds() },
            postgres: database.server.cpuSeconds() - before.0,
            simulator: bench.simulatorTree.cpuSeconds() - before.1, own: bench.own.cpuSeconds() - before.2
        )
        let others = MachineLoad.now().others(
            since: load, own: spent.otpd + spent.postgres + spent.simulator + spent.own)
        let memory = workers.map(\.peakMemory).max() ?? 0
        for worker in workers { try await worker.stop() }
        let statistics = try simulator.statistics()
        let (check, arrivals) = try await ExactlyOnce.check(
            jobs: jobs, earlier: earlier, simulator: simulator, database: database)
        func perThousand(_ seconds: Double) -> Double { seconds * 1e6 / Double(jobs) }
        return Drain(
            jobs: jobs, processes: processes,
            jobsPerSecond: Double(arrivals.count - 1) / max(Double(arrivals.last - arrivals.first) / 1e6, 1e-6),
            donePerSecond: Double(jobs) / max(Double(done - arrivals.first) / 1e6, 1e-6),
            startMilliseconds: Double(arrivals.first - start) / 1000,
            otpdCPU: perThousand(spent.otpd), postgresCPU: perThousand(spent.postgres),
            simulatorCPU: perThousand(spent.simulator), peakMemoryMB: memory,
            fetches: statistics.requests - statistics.creates, cpuOfOthers: others, exactlyOnce: check)
    }
}
