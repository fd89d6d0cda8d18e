internal import EventLoop
internal import Glibc

/// What a worker with nothing to do costs.
struct Idle: Codable {
    var seconds: Int
    /// Transactions per minute in the worker's database, with otpd and without.
    var transactionsPerMinute: Double
    var transactionsPerMinuteWithout: Double
    /// Processor milliseconds per minute.
    var otpdCPUPerMinute: Double
    var postgresCPUPerMinute: Double
    var postgresCPUPerMinuteWithout: Double
    /// Times per minute that a thread of otpd gave the processor up: how often it woke.
    var wakeUpsPerMinute: Double
    var residentMB: Double

    static func measure(_ bench: Measurement) async throws -> Idle {
        let (database, loop, seconds) = (bench.database, bench.loop, bench.plan.idleSeconds)
        try await database.reset()
        try await database.settle()
        // Until what this program has just done is in the server's statistics.
        try await loop.sleep(for: .seconds(3))
        let without = try await watch(bench, nil)
        let otpd = try Otpd(bench.plan.otpd, on: loop)
        try await otpd.untilRunning(database)
        // The first polls of a new worker are not idling; they are 10 s, and 10 s late in the server's statistics.
        try await loop.sleep(for: .seconds(30))
        let with = try await watch(bench, otpd.process.pid)
        let resident = Double(ProcFile.status(otpd.process.pid, "VmRSS") ?? 0) / 1024
        try await otpd.stop()
        return Idle(
            seconds: seconds, transactionsPerMinute: with.transactions,
            transactionsPerMinuteWithout: without.transactions, otpdCPUPerMinute: with.otpd,
            postgresCPUPerMinute: with.postgres, postgresCPUPerMinuteWithout: without.postgres,
            wakeUpsPerMinute: with.wakeUps, residentMB: resident)
    }

    /// Everything per minute.
    private static func watch(
        _ bench: Measurement, _ pid: Int32?
    ) async throws -> (transactions: Double, postgres: Double, otpd: Double, wakeUps: Double) {
        func sample() async throws -> (Int, Double, Double, Int) {
            let transactions = try await bench.database.transactions()
            let cpu = pid.map { ProcessTree(root: $0).cpuSeconds() } ?? 0
            return (transactions, bench.database.server.cpuSeconds(), cpu, pid.map(switches) ?? 0)
        }
        let before = try await sample()
        try await bench.loop.sleep(for: .seconds(Int64(bench.plan.idleSeconds)))
        let after = try await sample()
        let perMinute = 60 / Double(bench.plan.idleSeconds)
        return (
            Double(max(0, after.0 - before.0 - 3)) * perMinute, (after.1 - before.1) * 1000 * perMinute,
            (after.2 - before.2) * 1000 * perMinute, Double(after.3 - before.3) * perMinute
        )
    }

    /// Voluntary context switches of all threads.
    private static func switches(_ pid: Int32) -> Int {
        guard let folder = opendir("/proc/\(pid)/task") else { return 0 }
        defer { closedir(folder) }
        var sum = 0
        while let entry = readdir(folder) {
            let thread = withUnsafeBytes(of: entry.pointee.d_name) { name in
                Int32(String(decoding: name.prefix { $0 != 0 }, as: UTF8.self))
            }
            if let thread { sum += ProcFile.status(thread, "voluntary_ctxt_switches") ?? 0 }
        }
        return sum
    }
}
