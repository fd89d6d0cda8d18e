internal import EventLoop

/// Two workers compared with one on a full queue, and four with one on a nearly empty queue (the herd).
struct Processes: Codable {
    /// One run of each, in alternating order.
    struct Pair: Codable {
        var one: Drain
        var two: Drain
        var ratio: Double { two.donePerSecond / one.donePerSecond }
        private func cpu(_ drain: Drain) -> Double { drain.otpdCPU + drain.postgresCPU }
        /// The cost of a send for otpd and PostgreSQL with two workers, divided by that with one.
        var cpuRatio: Double { cpu(two) / cpu(one) }
    }

    /// A few codes a second, each of which wakes every worker.
    struct Herd: Codable {
        var processes: Int
        var jobs: Int
        /// Claims divided by jobs: 1 if each claim took one job and no claim was empty.
        var claimsPerJob: Double
        /// Transactions of the database divided by jobs, the code's request included.
        var transactionsPerJob: Double
        /// Processor milliseconds per 1,000 sends.
        var otpdCPU: Double
        var postgresCPU: Double
        var exactlyOnce: ExactlyOnce
    }

    var pairs: [Pair] = []
    var herd: [Herd] = []

    static let rate = 20
    private static let seconds = 15

    static func pair(_ bench: Bench, twoFirst: Bool) async throws -> Pair {
        let first = try await Drain.measure(bench, jobs: bench.plan.jobs, processes: twoFirst ? 2 : 1)
        let second = try await Drain.measure(bench, jobs: bench.plan.jobs, processes: twoFirst ? 1 : 2)
        return twoFirst ? Pair(one: second, two: first) : Pair(one: first, two: second)
    }

    static func herd(_ bench: Bench, processes: Int) async throws -> Herd {
        let (database, simulator, loop) = (bench.database, bench.simulator, bench.loop)
        try await database.reset()
        try simulator.reset()
        try await database.settle()
        try await database.countStatements(true)
        let workers = try (0..<processes).map { _ in try Otpd(bench.plan.otpd, on: loop) }
        try await workers[0].untilRunning(database, count: processes)
        // The workers know of each other and divide the polls after each one's next heartbeat.
        if processes > 1 { try await loop.sleep(for: .seconds(12)) }
        func cpu() -> (otpd: Double, postgres: Double) {
            (
                workers.reduce(0) { $0 + ProcessTree(root: $1.process.pid).cpuSeconds() },
                database.server.cpuSeconds()
            )
        }
        let jobs = rate * seconds
        let before = (transactions: try await database.transactions(), claims: try await database.claims(), cpu: cpu())
        _ = try await Requests.run(database.settings, count: jobs, perSecond: rate, on: loop)
        try await workers[0].until("\(jobs) jobs were sent", atMost: .seconds(30)) {
            try simulator.statistics().numbers >= jobs
        }
        // Read before the database is queried again, because its answers would count.
        let after = cpu()
        try await loop.sleep(for: .seconds(1))
        let transactions = try await database.transactions() - before.transactions - 4
        let claims = try await database.claims().calls - before.claims.calls
        try await workers[0].until("\(jobs) jobs were recorded", atMost: .seconds(30)) {
            try await database.isDrained()
        }
        for worker in workers { try await worker.stop() }
        try await database.countStatements(false)
        let (check, _) = try await ExactlyOnce.check(jobs: jobs, simulator: simulator, database: database)
        return Herd(
            processes: processes, jobs: jobs, claimsPerJob: Double(claims) / Double(jobs),
            transactionsPerJob: Double(transactions) / Double(jobs),
            otpdCPU: (after.otpd - before.cpu.otpd) * 1e6 / Double(jobs),
            postgresCPU: (after.postgres - before.cpu.postgres) * 1e6 / Double(jobs), exactlyOnce: check)
    }
}
