internal import EventLoop
internal import Postgres

/// The time of a code from its commit to Twilio, at a rate that leaves the machine mostly idle.
struct Latency: Codable {
    var perSecond: Int
    var jobs: Int
    /// From the requester's clock after COMMIT returned to the simulator's arrival time. A little too low, because the
    /// wake-up leaves the server before the requester reads its clock.
    var fromCommit: Percentiles
    /// From the moment at which the transaction was meant to begin.
    var fromIntended: Percentiles
    /// Medians of the same round, in milliseconds. One is a commit that waits for the disk, as a claim's must. The
    /// other is a request to the simulator and its answer. No send can take less than one commit and half a round trip.
    var durableCommit: Double
    var roundTrip: Double
    /// Processor milliseconds of otpd per 1,000 sends, its start included.
    var otpdCPU: Double
    var peakMemoryMB: Double
    var cpuOfOthers: Double
    var exactlyOnce: ExactlyOnce

    /// The median divided by its lower bound.
    var ratio: Double { fromCommit.p50 / max(durableCommit + roundTrip / 2, 0.001) }

    private static let durable = Statement(
        "bench_durable_commit", "SELECT pg_logical_emit_message(true, 'otpd-bench', 'x')", [])

    static func measure(_ bench: Bench) async throws -> Latency {
        let (database, simulator, loop, plan) = (bench.database, bench.simulator, bench.loop, bench.plan)
        try await database.reset()
        try simulator.reset()
        try await database.settle()
        var floor = (commits: [Int64](), roundTrips: [Int64]())
        try await probe(bench, &floor)

        let load = MachineLoad.now()
        let before = database.server.cpuSeconds() + bench.simulatorTree.cpuSeconds() + bench.own.cpuSeconds()
        let otpd = try Otpd(plan.otpd, on: loop)
        try await otpd.untilRunning(database)
        // The first second warms plans and connections, and is not measured.
        let (warming, count) = (plan.rate, plan.rate * (plan.seconds + 1))
        let sent = try await Requests.run(database.settings, count: count, perSecond: plan.rate, on: loop)
        try await otpd.until("\(count) jobs were sent", atMost: .seconds(30)) {
            try simulator.statistics().numbers >= count
        }
        try await otpd.until("\(count) jobs were recorded", atMost: .seconds(30)) { try await database.isDrained() }
        let own = ProcessTree(root: otpd.process.pid).cpuSeconds()
        let spent =
            own + database.server.cpuSeconds() + bench.simulatorTree.cpuSeconds() + bench.own.cpuSeconds() - before
        let others = MachineLoad.now().others(since: load, own: spent)
        let memory = otpd.peakMemory
        try await otpd.stop()
        try await probe(bench, &floor)

        let (check, arrivals) = try await ExactlyOnce.check(jobs: count, simulator: simulator, database: database)
        let counted = sent.filter { $0.job >= warming }
        return Latency(
            perSecond: plan.rate, jobs: counted.count,
            fromCommit: Percentiles(
                microseconds: counted.compactMap { sent in arrivals.at[sent.job].map { $0 - sent.committedAt } }),
            fromIntended: Percentiles(
                microseconds: counted.compactMap { sent in arrivals.at[sent.job].map { $0 - sent.intendedAt } }),
            durableCommit: Percentiles(microseconds: floor.commits).p50,
            roundTrip: Percentiles(microseconds: floor.roundTrips).p50, otpdCPU: own * 1e6 / Double(count),
            peakMemoryMB: memory, cpuOfOthers: others, exactlyOnce: check)
    }

    private static func probe(
        _ bench: Bench, _ floor: inout (commits: [Int64], roundTrips: [Int64])
    ) async throws {
        for _ in 0..<50 {
            let start = WallClock.now()
            _ = try await bench.database.connection.execute(durable, deadline: .now() + .seconds(10))
            floor.commits.append(WallClock.now() - start)
            floor.roundTrips.append(try bench.simulator.roundTrip())
            // As far apart as the jobs, so that processors that sleep between jobs also sleep here.
            try await bench.loop.sleep(for: .milliseconds(10))
        }
    }
}
