internal import EventLoop

/// How many still get a code in time when twice as many ask for one as can be sent.
struct Overload: Codable {
    /// Sends per second that the worker was allowed; twice that was asked of it.
    var ratePerSecond: Int
    var seconds: Int
    var jobs: Int
    /// While it lasted: messages that reached Twilio within ten seconds of their commit, over what the rate allows.
    var usefulCapacity: Double
    /// The same load served at the same rate, plainly the oldest first (computed, by a server that costs nothing).
    var usefulCapacityOldestFirst: Double
    /// The share whose message reached Twilio within ten seconds of its commit, the ten seconds after the last included.
    var shareInTime: Double
    /// What no server could exceed: every send in time until ten seconds after the last request.
    var bestPossible: Double
    /// The same, oldest first.
    var oldestFirst: Double

    var ratio: Double { shareInTime / bestPossible }

    private static let patience = 10

    static func measure(_ bench: Bench) async throws -> Overload {
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
        let plain = oldestFirst(sent.map(\.committedAt), perSecond: plan.overloadRate)
        let seconds = Double(plan.overloadSeconds)
        let capacity = Double(plan.overloadRate) * seconds
        return Overload(
            ratePerSecond: plan.overloadRate, seconds: plan.overloadSeconds, jobs: count,
            usefulCapacity: Double(inTime(sent, whileItLasts: true) { arrivals.at[sent[$0].job] }) / capacity,
            usefulCapacityOldestFirst: Double(inTime(sent, whileItLasts: true) { plain[$0] }) / capacity,
            shareInTime: Double(inTime(sent, whileItLasts: false) { arrivals.at[sent[$0].job] }) / Double(count),
            bestPossible: min(1, (seconds + Double(patience)) / (2 * seconds)),
            oldestFirst: Double(inTime(sent, whileItLasts: false) { plain[$0] }) / Double(count))
    }

    /// When a server that handles `perSecond`, the oldest first, would have handled each of what came at `times`
    /// (microseconds): what it must be held against is a server without an order for overload.
    static func oldestFirst(_ times: [Int64], perSecond: Int) -> [Int64] {
        var handled = [Int64](repeating: 0, count: times.count)
        var free = Int64.min
        for index in times.indices.sorted(by: { times[$0] < times[$1] }) {
            handled[index] = max(times[index], free)
            free = handled[index] + Int64(1_000_000 / perSecond)
        }
        return handled
    }

    /// How many arrived in time; `whileItLasts`: before the last request was made. `arrival` takes an index of `sent`.
    private static func inTime(
        _ sent: [Requests.Sent], whileItLasts: Bool, arrival: (Int) -> Int64?
    ) -> Int {
        let end = whileItLasts ? sent.lazy.map(\.committedAt).max() ?? 0 : .max
        return sent.indices.count { index in
            arrival(index).map { $0 <= end && $0 - sent[index].committedAt <= Int64(patience) * 1_000_000 } ?? false
        }
    }
}
