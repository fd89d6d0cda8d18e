internal import EventLoop

/// How many codes arrive in time if twice as many are requested as can be sent.
struct Overload: Codable {
    /// The worker's limit in sends per second. Twice as many codes were requested.
    var ratePerSecond: Int
    var seconds: Int
    var jobs: Int
    /// During the overload: messages that reached Twilio within ten seconds of their commit, divided by the rate's
    /// capacity.
    var usefulCapacity: Double
    /// The same load at the same rate, served strictly oldest first (computed, for a server without costs).
    var usefulCapacityOldestFirst: Double
    /// The share of messages that reached Twilio within ten seconds of their commit, the ten seconds after the last
    /// request included.
    var shareInTime: Double
    /// The upper bound of any server: every send in time until ten seconds after the last request.
    var bestPossible: Double
    /// The same, served oldest first.
    var oldestFirst: Double

    var ratio: Double { shareInTime / bestPossible }

    private static let timeout = 10

    static func measure(_ bench: Bench) async throws -> Overload {
        let (database, simulator, loop, plan) = (bench.database, bench.simulator, bench.loop, bench.plan)
        try await database.reset()
        try simulator.reset()
        let count = plan.overloadRate * 2 * plan.overloadSeconds
        let otpd = try Otpd(plan.otpd, on: loop, ratePerSecond: plan.overloadRate)
        try await otpd.untilRunning(database)
        let sent = try await Requests.run(database.settings, count: count, perSecond: 2 * plan.overloadRate, on: loop)
        try await loop.sleep(for: .seconds(Int64(timeout)))
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
            bestPossible: min(1, (seconds + Double(timeout)) / (2 * seconds)),
            oldestFirst: Double(inTime(sent, whileItLasts: false) { plain[$0] }) / Double(count))
    }

    /// When a server that sends `perSecond`, the oldest first, would have sent each request of `times` (microseconds).
    /// It is the comparison for a server with a special order for overload.
    static func oldestFirst(_ times: [Int64], perSecond: Int) -> [Int64] {
        var handled = [Int64](repeating: 0, count: times.count)
        var free = Int64.min
        for index in times.indices.sorted(by: { times[$0] < times[$1] }) {
            handled[index] = max(times[index], free)
            free = handled[index] + Int64(1_000_000 / perSecond)
        }
        return handled
    }

    /// How many arrived in time. With `whileItLasts`, before the last request was made. `arrival` takes an index of
    /// `sent`.
    private static func inTime(
        _ sent: [Requests.Sent], whileItLasts: Bool, arrival: (Int) -> Int64?
    ) -> Int {
        let end = whileItLasts ? sent.lazy.map(\.committedAt).max() ?? 0 : .max
        return sent.indices.count { index in
            arrival(index).map { $0 <= end && $0 - sent[index].committedAt <= Int64(timeout) * 1_000_000 } ?? false
        }
    }
}
