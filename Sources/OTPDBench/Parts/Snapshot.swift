internal import EventLoop
internal import Postgres

/// The cost of another session's open transaction. Under a steady rate, dead rows pile up that VACUUM must not remove.
struct Snapshot: Codable {
    struct Run: Codable {
        /// From the commit to the receipt, in the second half of the time.
        var fromCommit: Percentiles
        /// Sends per second meanwhile. Equals the requested rate if the worker keeps up.
        var perSecond: Double
        /// After that, with the snapshot still held and a full queue.
        var drain: Drain
        var exactlyOnce: ExactlyOnce
    }

    /// Codes requested per second: the given rate, or half of the machine's capacity if that is less.
    var asked: Int
    var seconds: Int
    var without: Run
    var with: Run

    var throughputRatio: Double { with.drain.donePerSecond / without.drain.donePerSecond }
    var steadyRatio: Double { with.perSecond / without.perSecond }
    var p99Ratio: Double { with.fromCommit.p99 / without.fromCommit.p99 }

    static func measure(_ bench: Bench) async throws -> Snapshot {
        let rate = min(bench.plan.snapshotRate, max(1, Int(try await carried(bench) / 2)))
        let without = try await run(bench, rate: rate, holding: false)
        let with = try await run(bench, rate: rate, holding: true)
        return Snapshot(asked: rate, seconds: bench.plan.snapshotSeconds, without: without, with: with)
    }

    /// Codes per second if they are requested as fast as possible while a worker sends them.
    private static func carried(_ bench: Bench) async throws -> Double {
        let count = 2 * bench.plan.snapshotRate
        try await bench.database.reset()
        let otpd = try Otpd(bench.plan.otpd, on: bench.loop)
        try await otpd.untilRunning(bench.database)
        let sent = try await Requests.run(bench.database.settings, count: count, perSecond: 100_000, on: bench.loop)
        try await otpd.until("\(count) jobs were recorded", atMost: .seconds(30)) {
            try await bench.database.isDrained()
        }
        try await otpd.stop()
        let times = sent.map(\.committedAt)
        return Double(count) * 1e6 / Double(max(1, (times.max() ?? 0) - (times.min() ?? 0)))
    }

    private static func run(_ bench: Bench, rate: Int, holding: Bool) async throws -> Run {
        let (database, simulator, loop, plan) = (bench.database, bench.simulator, bench.loop, bench.plan)
        try await database.reset()
        try simulator.reset()
        try await database.settle()
        let holder = try await database.session(on: loop)
        if holding {
            _ = try await holder.simple(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM otp.settings",
                deadline: .now() + .seconds(10))
        }
        let count = rate * plan.snapshotSeconds
        let otpd = try Otpd(plan.otpd, on: loop)
        try await otpd.untilRunning(database)
        let sent = try await Requests.run(database.settings, count: count, perSecond: rate, on: loop)
        try await otpd.until("\(count) jobs were sent", atMost: .seconds(60)) {
            try simulator.statistics().created >= count
        }
        try await otpd.until("\(count) jobs were recorded", atMost: .seconds(30)) { try await database.isDrained() }
        try await otpd.stop()
        let (check, arrivals) = try await ExactlyOnce.check(jobs: count, simulator: simulator, database: database)
        let counted = sent.filter { $0.job >= count / 2 }
        // The tables stay as they are, because their dead rows are measured.
        let drain = try await Drain.measure(bench, jobs: plan.jobs, afresh: false)
        await holder.close()
        return Run(
            fromCommit: Percentiles(
                microseconds: counted.compactMap { sent in arrivals.at[sent.job].map { $0 - sent.committedAt } }),
            perSecond: Double(arrivals.count - 1) / max(Double(arrivals.last - arrivals.first) / 1e6, 1e-6),
            drain: drain, exactlyOnce: check)
    }
}
