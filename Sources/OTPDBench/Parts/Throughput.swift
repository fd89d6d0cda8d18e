internal import EventLoop

/// Jobs per second with many queued, compared with the database alone and HTTP alone.
struct Throughput: Codable {
    /// Milliseconds that the simulator takes for every answer, and the number of concurrent requests.
    var providerLatency: Int
    var maxInFlight: Int
    var drain: Drain
    /// Of the same round: the leanest queue without HTTP, and wrk against the simulator without a queue.
    var queueAlonePerSecond: Double
    var httpAlonePerSecond: Double?

    /// Compared with both together: the sum of a job's time in the one and its time in the other, because they use the
    /// same processors.
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
