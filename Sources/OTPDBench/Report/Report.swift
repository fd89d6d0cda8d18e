internal import FoundationEssentials
internal import Glibc

/// All that was measured.
struct Report: Codable {
    var at = WallClock.now() / 1_000_000
    var processors: Int
    var server: [String: String]
    var throughput: [Throughput] = []
    var latency: [Latency] = []
    var backlog: Backlog?
    var overload: Overload?
    var throttle: Throttle?
    var idle: Idle?

    init(processors: Int, server: [String: String]) {
        self.processors = processors
        self.server = server
    }

    /// Whether every job was sent once and recorded.
    var isSound: Bool {
        throughput.allSatisfy(\.exactlyOnce.isSound) && latency.allSatisfy(\.exactlyOnce.isSound)
            && throttle?.exactlyOnce.isSound ?? true
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: URL(filePath: path))
    }

    // MARK: The table

    /// What people read: the medians of the runs, the spread, and what each figure is to be held against.
    var table: String {
        var table = Table()
        let server = self.server
        func setting(_ name: String) -> String { server[name] ?? "?" }
        table.line(
            "\(processors) processors shared by otpd, PostgreSQL \(setting("server_version")) "
                + "(fsync \(setting("fsync")), full_page_writes \(setting("full_page_writes"))) and the simulator.")
        if !throughput.isEmpty { addThroughput(to: &table) }
        if !latency.isEmpty { addLatency(to: &table) }
        if let backlog { add(backlog, to: &table) }
        if let overload { add(overload, to: &table) }
        if let throttle { add(throttle, to: &table) }
        if let idle { add(idle, to: &table) }
        return table.text
    }

    private func addThroughput(to table: inout Table) {
        func of(_ value: (Throughput) -> Double) -> [Double] { throughput.map(value) }
        table.section("Throughput, \(throughput[0].jobs) jobs queued, \(Self.runs(throughput.count))")
        table.row("jobs/s, first to last arrival at the simulator", of(\.jobsPerSecond))
        table.row("done/s, until the last is recorded", of(\.donePerSecond))
        table.row("the queue alone, jobs/s", of(\.queueAlonePerSecond))
        table.row("  done/s over that", of { $0.donePerSecond / $0.queueAlonePerSecond }, digits: 2)
        let http = throughput.compactMap(\.httpAlonePerSecond)
        if http.count == throughput.count {
            table.row("HTTP and simulator alone (wrk), requests/s", http)
            table.row("  jobs/s over that", of { $0.jobsPerSecond / ($0.httpAlonePerSecond ?? .nan) }, digits: 2)
        } else {
            table.note("HTTP and simulator alone: not measured, which takes wrk and --wrk-script")
        }
        table.row("CPU ms per 1,000 sends: otpd", of(\.otpdCPU))
        table.row("  PostgreSQL", of(\.postgresCPU))
        table.row("  simulator", of(\.simulatorCPU))
        table.row("start to first arrival, ms", of(\.startMilliseconds))
        table.row("peak memory of otpd, MB", of(\.peakMemoryMB), digits: 1)
        table.row("processors busy for others", of(\.cpuOfOthers), digits: 2)
        table.note("exactly once: \(Self.words(throughput.map(\.exactlyOnce)))")
    }

    private func addLatency(to table: inout Table) {
        func of(_ value: (Latency) -> Double) -> [Double] { latency.map(value) }
        table.section(
            "Latency, \(latency[0].perSecond) transactions/s, \(latency[0].jobs) codes, \(Self.runs(latency.count))")
        table.row("commit to receipt, ms: p50", of(\.fromCommit.p50), digits: 2)
        table.row("  p95", of(\.fromCommit.p95), digits: 2)
        table.row("  p99", of(\.fromCommit.p99), digits: 2)
        table.row("  max", of(\.fromCommit.max), digits: 2)
        table.row("intended begin to receipt, ms: p50", of(\.fromIntended.p50), digits: 2)
        table.row("  p99", of(\.fromIntended.p99), digits: 2)
        table.row("one durable commit, ms: p50", of(\.durableCommit), digits: 2)
        table.row("one round trip to the simulator, ms: p50", of(\.roundTrip), digits: 2)
        table.row("  p50 over a commit and half a round trip", of(\.ratio), digits: 2)
        table.row("CPU ms per 1,000 sends: otpd", of(\.otpdCPU))
        table.row("peak memory of otpd, MB", of(\.peakMemoryMB), digits: 1)
        table.row("processors busy for others", of(\.cpuOfOthers), digits: 2)
        table.note("exactly once: \(Self.words(latency.map(\.exactlyOnce)))")
    }

    private func add(_ backlog: Backlog, to table: inout Table) {
        table.section("Backlog, a claim of \(QueueAlone.batch) with its commit, median of \(Backlog.claims)")
        table.row("ms with \(backlog.few.queued) queued", [backlog.few.median], digits: 2)
        table.row("ms with \(backlog.many.queued) queued", [backlog.many.median], digits: 2)
        table.row("  over that with \(backlog.few.queued)", [backlog.ratio], digits: 2)
    }

    private func add(_ throttle: Throttle, to table: inout Table) {
        table.section(
            "Throttle, \(throttle.jobs) jobs queued, \(throttle.atATime) requests at a time and \(throttle.perSecond)/s allowed"
        )
        table.row("jobs/s, first to last arrival at the simulator", [throttle.jobsPerSecond])
        table.row("  share of what is allowed", [throttle.ratio], digits: 3)
        table.row("share of answers that were 429", [throttle.shareRefused], digits: 4)
        table.line("  exactly once: \(throttle.exactlyOnce.words)")
    }

    private func add(_ overload: Overload, to table: inout Table) {
        table.section(
            "Overload, \(2 * overload.ratePerSecond)/s asked for \(overload.seconds) s, \(overload.ratePerSecond)/s allowed"
        )
        table.row("of the capacity, while it lasted: codes within 10 s", [overload.usefulCapacity], digits: 3)
        table.row("  the same, oldest first", [overload.usefulCapacityOldestFirst], digits: 3)
        table.row("share at Twilio within 10 s of its commit", [overload.shareInTime], digits: 3)
        table.row("best possible", [overload.bestPossible], digits: 3)
        table.row("the same, oldest first", [overload.oldestFirst], digits: 3)
        table.row("  share over the best possible", [overload.ratio], digits: 2)
    }

    private func add(_ idle: Idle, to table: inout Table) {
        table.section("Idling, per minute, watched for \(idle.seconds) s")
        table.row("transactions with otpd", [idle.transactionsPerMinute], digits: 1)
        table.row("  without", [idle.transactionsPerMinuteWithout], digits: 1)
        table.row("CPU ms of PostgreSQL with otpd", [idle.postgresCPUPerMinute])
        table.row("  without", [idle.postgresCPUPerMinuteWithout])
        table.row("CPU ms of otpd", [idle.otpdCPUPerMinute])
        table.row("wake-ups of otpd", [idle.wakeUpsPerMinute])
        table.row("resident memory of otpd, MB", [idle.residentMB], digits: 1)
    }

    private static func runs(_ count: Int) -> String { count == 1 ? "1 run" : "medians of \(count) runs" }

    private static func words(_ checks: [ExactlyOnce]) -> String {
        if checks.allSatisfy(\.isSound) { return "yes, in every run" }
        return checks.enumerated().map { "run \($0.offset + 1): \($0.element.words)" }.joined(separator: "; ")
    }
}
