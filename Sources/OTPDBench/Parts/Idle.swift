internal import EventLoop
internal import Glibc

/// The cost of idle workers: none, one, four.
struct Idle: Codable {
    /// The figures per minute.
    struct Minute: Codable {
        var workers: Int
        /// Transactions of the workers' database.
        var transactions: Double
        /// Processor milliseconds.
        var otpdCPU: Double
        var postgresCPU: Double
        /// Voluntary context switches of otpd's threads, which show how often it woke up.
        var wakeUps: Double
        var residentMB: Double
    }

    var seconds: Int
    var minutes: [Minute]

    /// Transactions per minute and worker.
    func transactionsPerWorker(_ minute: Minute) -> Double {
        (minute.transactions - minutes[0].transactions) / Double(max(minute.workers, 1))
    }

    static func measure(_ bench: Bench) async throws -> Idle {
        let (database, loop) = (bench.database, bench.loop)
        var idle = Idle(seconds: bench.plan.idleSeconds, minutes: [])
        for count in [0, 1, 4] {
            try await database.reset()
            try await database.settle()
            let workers = try (0..<count).map { _ in try Otpd(bench.plan.otpd, on: loop) }
            try await workers.first?.untilRunning(database, count: count)
            // Skips the first polls of a new worker, which last 10 s and appear in the server's statistics 10 s later.
            try await loop.sleep(for: .seconds(count == 0 ? 3 : 30))
            idle.minutes.append(try await watch(bench, workers.map(\.process.pid)))
            for worker in workers { try await worker.stop() }
        }
        return idle
    }

    private static func watch(_ bench: Bench, _ pids: [Int32]) async throws -> Minute {
        func sample() async throws -> (transactions: Int, postgres: Double, otpd: Double, wakeUps: Int) {
            let transactions = try await bench.database.transactions()
            let cpu = pids.reduce(0) { $0 + ProcessTree(root: $1).cpuSeconds() }
            return (
                transactions, bench.database.server.cpuSeconds(), cpu, pids.reduce(0) { $0 + switches($1) }
            )
        }
        let before = try await sample()
        try await bench.loop.sleep(for: .seconds(Int64(bench.plan.idleSeconds)))
        let after = try await sample()
        let perMinute = 60 / Double(bench.plan.idleSeconds)
        return Minute(
            workers: pids.count,
            // Reading the counter takes three transactions.
            transactions: Double(max(0, after.transactions - before.transactions - 3)) * perMinute,
            otpdCPU: (after.otpd - before.otpd) * 1000 * perMinute,
            postgresCPU: (after.postgres - before.postgres) * 1000 * perMinute,
            wakeUps: Double(after.wakeUps - before.wakeUps) * perMinute,
            residentMB: pids.map { Double(ProcFile.status($0, "VmRSS") ?? 0) / 1024 }.max() ?? 0)
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
