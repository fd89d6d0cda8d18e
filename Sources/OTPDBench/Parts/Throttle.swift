internal import EventLoop

/// How much of Twilio's limits is used, and how often it answers 429. Jobs are queued at once for a simulator that
/// limits concurrent requests and requests per second.
struct Throttle: Codable {
    var jobs: Int
    var atATime: Int
    var perSecond: Int
    /// Arrivals of messages per second, from the first to the last.
    var jobsPerSecond: Double
    /// The share of 429 answers among all answers to creates.
    var shareRefused: Double
    var exactlyOnce: ExactlyOnce

    /// The rate reached, divided by the rate allowed.
    var ratio: Double { jobsPerSecond / Double(perSecond) }

    static func measure(_ bench: Bench) async throws -> Throttle {
        let (database, simulator, loop, plan) = (bench.database, bench.simulator, bench.loop, bench.plan)
        let jobs = plan.throttleJobs
        let (atATime, perSecond) = (20, 50)
        try await database.reset()
        try simulator.reset()
        // The codes live longer than the run.
        try await database.fill(count: jobs)
        try simulator.faults(#"{"max_concurrent": \#(atATime), "max_per_second": \#(perSecond)}"#)
        let otpd = try Otpd(plan.otpd, on: loop)
        try await otpd.until("\(jobs) jobs were sent", atMost: .seconds(Int64(jobs / perSecond * 2 + 30))) {
            try simulator.statistics().numbers >= jobs
        }
        try await otpd.until("\(jobs) jobs were recorded", atMost: .seconds(30)) { try await database.isDrained() }
        try await otpd.stop()
        try simulator.faults(#"{"max_concurrent": 0, "max_per_second": 0}"#)
        let statistics = try simulator.statistics()
        let (check, arrivals) = try await ExactlyOnce.check(jobs: jobs, simulator: simulator, database: database)
        return Throttle(
            jobs: jobs, atATime: atATime, perSecond: perSecond,
            jobsPerSecond: Double(arrivals.count - 1) / max(Double(arrivals.last - arrivals.first) / 1e6, 1e-6),
            shareRefused: Double(statistics.creates - statistics.created) / Double(max(statistics.creates, 1)),
            exactlyOnce: check)
    }
}
