internal import EventLoop

/// Throughput and the cost of a claim, with few jobs queued and finished, and with many.
struct Backlog: Codable {
    struct Size: Codable {
        /// Jobs queued. There are as many messages of earlier jobs.
        var queued: Int
        var stretches: [Stretch] = []
    }

    /// Some thousand sends from the queue.
    struct Stretch: Codable {
        /// Arrivals at the simulator per second, without the first thousand.
        var jobsPerSecond: Double
        /// The claims' cost per 1,000 claimed jobs: the server's milliseconds, and pages touched.
        var claimMilliseconds: Double
        var claimBuffers: Double
        var claims: Claims
        /// Messages to a number that already had one.
        var repeated: Int
    }

    /// In ascending order.
    var sizes: [Size]

    static let fewest = 10_000
    private static let (skipped, sends) = (1000, 8000)

    /// A value at the greatest size divided by that at the least, both medians. It is 1 if the value does not grow.
    func ratio(_ value: (Stretch) -> Double) -> Double {
        guard let few = sizes.first, let many = sizes.last else { return .nan }
        return Statistics.median(many.stretches.map(value)) / Statistics.median(few.stretches.map(value))
    }

    /// 10,000, three and ten times that, and so on.
    static func sizes(upTo most: Int) -> [Int] {
        var sizes: [Int] = []
        var decade = fewest
        while decade < most {
            sizes += [decade, decade * 3].filter { $0 < most }
            decade *= 10
        }
        return sizes + [most]
    }

    static func measure(_ bench: Bench) async throws -> Backlog {
        var backlog = Backlog(sizes: sizes(upTo: bench.plan.backlog).map { Size(queued: $0) })
        try await bench.database.countStatements(true)
        for index in backlog.sizes.indices {
            let queued = backlog.sizes[index].queued
            say("    \(queued) jobs")
            for _ in 0..<bench.plan.runs {
                // A small queue shrinks noticeably during a stretch, a large one does not.
                if backlog.sizes[index].stretches.isEmpty || queued < 100 * sends {
                    try await fill(bench, queued: queued)
                }
                backlog.sizes[index].stretches.append(try await stretch(bench))
            }
        }
        try await bench.database.countStatements(false)
        try await bench.database.reset()
        return backlog
    }

    /// Fills both tables. The jobs have waited for a minute, so that every size is overload alike.
    private static func fill(_ bench: Bench, queued: Int) async throws {
        try await bench.fillHistory(count: queued)
        try await bench.database.fill(count: queued, age: 60)
    }

    private static func stretch(_ bench: Bench) async throws -> Stretch {
        let (database, simulator, loop) = (bench.database, bench.simulator, bench.loop)
        try simulator.reset()
        try await database.countStatements(true)
        let otpd = try Otpd(bench.plan.otpd, on: loop)
        try await otpd.until("\(sends) jobs were sent", atMost: .seconds(120), every: .milliseconds(10)) {
            try simulator.statistics().created >= sends
        }
        try await otpd.stop()
        let claims = try await database.claims()
        guard claims.jobs >= sends else {
            throw BenchError("the server has counted claims of only \(claims.jobs) jobs")
        }
        let arrivals = try simulator.inbox(limit: 2 * sends).map(\.receivedAt).sorted().dropFirst(skipped).prefix(
            sends - skipped)
        guard let first = arrivals.first, let last = arrivals.last else { throw BenchError("nothing was sent") }
        return Stretch(
            jobsPerSecond: Double(arrivals.count - 1) / max(Double(last - first) / 1e6, 1e-6),
            claimMilliseconds: claims.milliseconds * 1000 / Double(claims.jobs),
            claimBuffers: Double(claims.buffers) * 1000 / Double(claims.jobs), claims: claims,
            repeated: try simulator.statistics().numbersRepeated)
    }
}
