internal import EventLoop

/// How many still get a code in time when twice as many ask for one as can be sent.
struct Overload: Codable {
    /// Sends per second that the worker was allowed; twice that was asked of it.
    var ratePerSecond: Int
    var seconds: Int
    var jobs: Int
    /// The share whose message reached Twilio within ten seconds of its commit.
    var shareInTime: Double
    /// What no server could exceed: every send in time until ten seconds after the last request.
    var bestPossible: Double
    /// The same load served at the same rate, plainly the oldest first (`QueueAlone.oldestFirst`).
    var oldestFirst: Double

    var ratio: Double { shareInTime / bestPossible }

    private static let patience = 10

    static func measure(_ bench: Measurement) async throws -> Overload {
        let (database, simulator, loop, plan) = (bench.database, bench.simulator, bench.loop, bench.plan)
        try await database.reset()
        try simulator.reset()
        let count = plan.overloadRate * 2 * plan.overloadSeconds
        let otpd = try Otpd(plan.otpd, on: loop, ratePerSecond: plan.overloadRate)
        try await otpd.untilRunning(database)
        let sent = try await Requests.run(database.settings, count: count, perSecond: 2 * plan.overloadRate, on: loop)
        try await loop.sleep(for: .seconds(Int64(patience)))
        try await otpd.stop()
        let (check, arrivals) = try await ExactlyOnce.check(jobs: count, simulator: simulator, database: database)
        guard check.duplicates + check.foreign == 0 else { throw BenchError("overload: exactly once? \(check.words)") }
        // The same again, with a server that knows no overload.
        try await database.reset()
        let plain = try await withThrowingTaskGroup(of: [Int: Int64].self) { group in
            group.addTask { try await QueueAlone.oldestFirst(database, perSecond: plan.overloadRate, on: loop) }
            let sent = try await Requests.run(
                database.settings, count: count, perSecond: 2 * plan.overloadRate, on: loop)
            try await loop.sleep(for: .seconds(Int64(patience)))
            group.cancelAll()
            let handled = try await group.next() ?? [:]
            return share(of: sent) { handled[$0] }
        }
        let seconds = Double(plan.overloadSeconds)
        return Overload(
            ratePerSecond: plan.overloadRate, seconds: plan.overloadSeconds, jobs: count,
            shareInTime: share(of: sent) { arrivals.at[$0] },
            bestPossible: min(1, (seconds + Double(patience)) / (2 * seconds)), oldestFirst: plain)
    }

    /// The share of what was sent that arrived in time.
    private static func share(of sent: [Requests.Sent], arrival: (Int) -> Int64?) -> Double {
        let inTime = sent.count { sent in
            arrival(sent.job).map { $0 - sent.committedAt <= Int64(patience) * 1_000_000 } ?? false
        }
        return Double(inTime) / Double(sent.count)
    }
}
