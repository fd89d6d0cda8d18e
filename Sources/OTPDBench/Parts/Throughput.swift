internal import EventLoop

/// Jobs per second with many queued, beside what the database alone and HTTP alone make of them.
struct Throughput: Codable {
    /// Milliseconds that the simulator takes for every answer, and how many requests are sent meanwhile.
    var providerLatency: Int
    var maxInFlight: Int
    var drain: Drain
    /// Of the same round: the leanest queue without HTTP, and wrk against the simulator without a queue.
    var queueAlonePerSecond: Double
    var httpAlonePerSecond: Double?

    /// Over what the two make together, a job's share of the one after its share of the other: they use the same
    /// processors.
    var ratio: Double { drain.donePerSecond * (1 / queueAlonePerSecond + 1 / (httpAlonePerSecond ?? .nan)) }

    static func measure(
        _ bench: Bench, providerLatency: Int = 0, maxInFlight: Int = 64
    ) async throws -> Throughput {
        let (simulator, jobs) = (bench.simulator, bench.plan.jobs)
        let queueAlone = try await LeanQueue.perSecond(bench.database, jobs: jobs, on: bench.loop)
        try simulator.reset(latency: providerLatency)
        let httpAlone = try await HTTPAlone.perSecond(
            simulator, script: bench.plan.wrkScript, connections: maxInFlight, on: bench.loop)
        return Throughput(
            providerLatency: providerLatency, maxInFlight: maxInFlight,
            drain: try await Drain.measure(
                bench, jobs: jobs, maxInFlight: maxInFlight, providerLatency: providerLatency),
            queueAlonePerSecond: queueAlone, httpAlonePerSecond: httpAlone)
    }
}
