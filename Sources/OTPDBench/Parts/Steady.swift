internal import EventLoop
internal import Glibc
internal import Postgres

/// A long run at a steady rate, with everything beside the sends that a worker and its operators do: maintenance, the
/// history of each minute, pruning, the turn of a day, autovacuum, and an open dashboard with its metrics. It finds
/// hiccups, which the medians of short runs hide.
struct Steady: Codable {
    var perSecond: Int
    var seconds: Int
    /// From the commit to the receipt.
    var fromCommit: Percentiles
    var p999: Double
    /// How many codes took at most so many milliseconds, and more than the bucket before.
    var histogram: [Bucket]
    /// Codes that took more than 250 ms.
    var gaps: Int
    /// The longest time that this program's own timer came late, in milliseconds. Delays of that length are the
    /// machine's.
    var longestStall: Double
    /// Messages that were pruned meanwhile.
    var pruned: Int
    /// Whether a day ended meanwhile, in the time zone of the settings.
    var dayEnded: Bool
    var cpuOfOthers: Double
    var exactlyOnce: ExactlyOnce

    struct Bucket: Codable, Equatable {
        var milliseconds: Double
        var codes: Int
    }

    var ratio: Double { p999 / max(fromCommit.p50, 0.001) }

    private static let (history, kept) = (200_000, 40)
    /// What counts as a gap, in microseconds.
    private static let gap: Int64 = 250_000

    static func measure(_ bench: Bench) async throws -> Steady {
        let (database, simulator, loop, plan) = (bench.database, bench.simulator, bench.loop, bench.plan)
        try await bench.fillHistory(count: history)
        // Otherwise the first request of the run would be one of an existing verification, and too early to be sent.
        try await database.run("TRUNCATE otp.verifications, otp.send_counts, otp.request_locks")
        try await database.settle()
        try simulator.reset()
        // Half of the history is too old, and is pruned during the run.
        try await database.run("UPDATE otp.settings SET keep_messages = '\(kept) days'")
        try await database.run(
            "UPDATE otp.maintenance SET pruned_at = clock_timestamp() - interval '59 minutes 50 seconds'")
        try await database.run(dayThatEnds(within: plan.steadySeconds))
        let dayBefore = try await day(database)
        let messages = try await database.endings().accepted

        let load = MachineLoad.now()
        let before = database.server.cpuSeconds() + bench.simulatorTree.cpuSeconds() + bench.own.cpuSeconds()
        let port = try freePort()
        let otpd = try Otpd(plan.otpd, on: loop, environment: ["OTPD_DASHBOARD_LISTEN": "127.0.0.1:\(port)"])
        try await otpd.untilRunning(database)
        let reader = try ChildProcess(
            "curl", ["--silent", "--rate", "24/m", "http://127.0.0.1:\(port)/{,metrics}?[1-100000]"])
        let count = plan.steadyRate * plan.steadySeconds
        async let stall = longestStall(of: .seconds(Int64(plan.steadySeconds)), on: loop)
        let sent = try await Requests.run(database.settings, count: count, perSecond: plan.steadyRate, on: loop)
        let longestStall = try await stall
        try await otpd.until("\(count) jobs were sent", atMost: .seconds(30)) {
            try simulator.statistics().created >= count
        }
        try await otpd.until("\(count) jobs were recorded", atMost: .seconds(30)) { try await database.isDrained() }
        guard reader.isRunning else { throw BenchError("curl, which reads the dashboard, ended by itself") }
        _ = try await reader.stop(on: loop)
        let own = ProcessTree(root: otpd.process.pid).cpuSeconds()
        let spent =
            own + database.server.cpuSeconds() + bench.simulatorTree.cpuSeconds() + bench.own.cpuSeconds() - before
        let others = MachineLoad.now().others(since: load, own: spent)
        try await otpd.stop()
        let left = try await database.endings().accepted - count
        let (check, arrivals) = try await ExactlyOnce.check(
            jobs: count, earlier: left, simulator: simulator, database: database)
        let dayEnded = try await day(database) != dayBefore
        try await database.run("UPDATE otp.settings SET keep_messages = DEFAULT, timezone = DEFAULT")
        let delays = sent.compactMap { sent in arrivals.at[sent.job].map { $0 - sent.committedAt } }
        return Steady(
            perSecond: plan.steadyRate, seconds: plan.steadySeconds, fromCommit: Percentiles(microseconds: delays),
            p999: Double(Statistics.percentile(delays, 0.999)) / 1000, histogram: histogram(delays),
            gaps: delays.count { $0 > gap }, longestStall: longestStall, pruned: messages - left,
            dayEnded: dayEnded, cpuOfOthers: others,
            exactlyOnce: check)
    }

    /// Delays by length: up to 0.25 ms, 0.5 ms, and so on, each twice the one before.
    static func histogram(_ microseconds: [Int64]) -> [Bucket] {
        let longest = microseconds.max() ?? 0
        var buckets: [Bucket] = []
        var (above, limit) = (Int64.min, Int64(250))
        repeat {
            buckets.append(
                Bucket(
                    milliseconds: Double(limit) / 1000, codes: microseconds.count { $0 > above && $0 <= limit }))
            (above, limit) = (limit, 2 * limit)
        } while above < longest
        return buckets
    }

    /// Chooses a time zone in which a day ends during the run, if there is one.
    private static func dayThatEnds(within seconds: Int) -> String {
        """
        UPDATE otp.settings s SET timezone = coalesce((
            SELECT n.name FROM pg_timezone_names n
             WHERE n.name LIKE '%/%' AND n.name NOT LIKE 'posix/%' AND n.name NOT LIKE 'Etc/%'
               AND (now() AT TIME ZONE n.name + interval '20 seconds')::date
                    < (now() AT TIME ZONE n.name + interval '1 second' * \(seconds - 20))::date
             ORDER BY n.name LIMIT 1), s.timezone)
        """
    }

    /// Today, in the time zone of the settings.
    private static func day(_ database: Database) async throws -> String {
        let row = try await database.connection.simple(
            "SELECT (now() AT TIME ZONE timezone)::date FROM otp.settings", deadline: .now() + .seconds(10))
        guard let result = row.last else { throw BenchError("the database returned no result") }
        return try result.string(0, 0)
    }

    /// Sleeps again and again for `span`; the longest time that it was woken late, in milliseconds.
    private static func longestStall(of span: Instant.Duration, on loop: EventLoop) async throws -> Double {
        let end = Instant.now() + span
        var longest = 0.0
        while Instant.now() < end {
            let due = Instant.now() + .milliseconds(5)
            try await loop.sleep(until: due)
            longest = max(longest, (Instant.now() - due).seconds * 1000)
        }
        return longest
    }

    /// A TCP port of the loopback address that is free now.
    private static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw BenchError("cannot open a socket") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw BenchError("cannot bind a socket to 127.0.0.1") }
        return UInt16(bigEndian: address.sin_port)
    }
}
