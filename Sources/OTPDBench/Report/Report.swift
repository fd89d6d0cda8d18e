internal import FoundationEssentials
internal import Glibc

/// All results.
struct Report: Codable {
    var at = WallClock.now() / 1_000_000
    var machine = MachineLoad.model
    var processors = MachineLoad.processors
    var server: [String: String]
    var throughput: [Throughput] = []
    var provider: [Throughput] = []
    var latency: [Latency] = []
    var processes = Processes()
    var inserts: [Inserts] = []
    var snapshot: Snapshot?
    var steady: Steady?
    var backlog: Backlog?
    var overload: Overload?
    var throttle: Throttle?
    var idle: Idle?

    init(server: [String: String]) { self.server = server }

    /// Whether every job was sent once and recorded.
    var isSound: Bool {
        var checks = (throughput + provider).map(\.drain.exactlyOnce) + latency.map(\.exactlyOnce)
        checks += processes.pairs.flatMap { [$0.one.exactlyOnce, $0.two.exactlyOnce] }
        checks += processes.herd.map(\.exactlyOnce) + inserts.map(\.exactlyOnce)
        for run in [snapshot?.without, snapshot?.with] {
            if let run { checks += [run.exactlyOnce, run.drain.exactlyOnce] }
        }
        if let steady { checks.append(steady.exactlyOnce) }
        if let throttle { checks.append(throttle.exactlyOnce) }
        return checks.allSatisfy(\.isSound)
            && backlog?.sizes.allSatisfy { $0.stretches.allSatisfy { $0.repeated == 0 } } ?? true
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(self).write(to: URL(filePath: path))
    }

    // MARK: The table

    /// The table for people: the medians of the runs, their spread, and the comparison of each figure.
    var table: String {
        var table = Table()
        let server = self.server
        func setting(_ name: String) -> String { server[name] ?? "?" }
        table.line(
            "\(machine), \(processors) processors shared by otpd, PostgreSQL \(setting("server_version")) "
                + "(fsync \(setting("fsync")), full_page_writes \(setting("full_page_writes"))) and the simulator.")
        if !throughput.isEmpty { add("Throughput", throughput, to: &table) }
        if !provider.isEmpty { add("Throughput of a slow provider", provider, to: &table) }
        if !latency.isEmpty { addLatency(to: &table) }
        if !processes.pairs.isEmpty { addProcesses(to: &table) }
        if !inserts.isEmpty { addInserts(to: &table) }
        if let snapshot { add(snapshot, to: &table) }
        if let steady { add(steady, to: &table) }
        if let backlog { add(backlog, to: &table) }
        if let overload { add(overload, to: &table) }
        if let throttle { add(throttle, to: &table) }
        if let idle { add(idle, to: &table) }
        return table.text
    }

    private func add(_ title: String, _ throughput: [Throughput], to table: inout Table) {
        func of(_ value: (Throughput) -> Double) -> [Double] { throughput.map(value) }
        table.section(
            "\(title), \(throughput[0].drain.jobs) jobs queued, \(throughput[0].providerLatency) ms an answer, "
                + "\(throughput[0].maxInFlight) in flight, \(Self.runs(throughput.count))")
        table.row("jobs/s, first to last arrival at the simulator", of(\.drain.jobsPerSecond))
        table.row("done/s, until the last is recorded", of(\.drain.donePerSecond))
        table.row("the leanest queue alone, jobs/s", of(\.queueAlonePerSecond))
        table.row("  done/s over that", of { $0.drain.donePerSecond / $0.queueAlonePerSecond }, digits: 2)
        let http = throughput.compactMap(\.httpAlonePerSecond)
        if http.count == throughput.count {
            table.row("HTTP and simulator alone (wrk), requests/s", http)
            table.row(
                "  jobs/s over that", of { $0.drain.jobsPerSecond / ($0.httpAlonePerSecond ?? .nan) }, digits: 2)
            // With a slow provider the two do not compete for the processors.
            if throughput[0].providerLatency == 0 {
                table.row("done/s over both, one after the other", of(\.ratio), digits: 2)
            }
        } else {
            table.note("HTTP and simulator alone: not measured, which takes wrk and --wrk-script")
        }
        table.row("CPU ms per 1,000 sends: otpd", of(\.drain.otpdCPU))
        table.row("  PostgreSQL", of(\.drain.postgresCPU))
        table.row("  simulator", of(\.drain.simulatorCPU))
        table.row("processors busy for these three", of(\.drain.processorsBusy), digits: 2)
        table.row("start to first arrival, ms", of(\.drain.startMilliseconds))
        table.row("peak memory of otpd, MB", of(\.drain.peakMemoryMB), digits: 1)
        table.row("processors busy for others", of(\.drain.cpuOfOthers), digits: 2)
        table.note("exactly once: \(Self.words(throughput.map(\.drain.exactlyOnce)))")
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

    private func addProcesses(to table: inout Table) {
        let pairs = processes.pairs
        table.section("Processes, two against one, \(pairs[0].one.jobs) jobs queued, \(Self.runs(pairs.count))")
        table.row("done/s, one", pairs.map(\.one.donePerSecond))
        table.row("  two", pairs.map(\.two.donePerSecond))
        table.row("  two over one", pairs.map(\.ratio), digits: 2)
        table.row("CPU of a send, otpd's and PostgreSQL's: two over one", pairs.map(\.cpuRatio), digits: 2)
        table.note("exactly once: \(Self.words(pairs.flatMap { [$0.one.exactlyOnce, $0.two.exactlyOnce] }))")
        for herd in processes.herd {
            table.section("Herd, \(herd.processes) processes, \(herd.jobs) codes at \(Processes.rate)/s")
            table.row("claims per job", [herd.claimsPerJob], digits: 2)
            table.row("transactions per job, the backend's included", [herd.transactionsPerJob], digits: 2)
            table.row("CPU ms per 1,000 sends: otpd", [herd.otpdCPU])
            table.row("  PostgreSQL", [herd.postgresCPU])
            table.note("exactly once: \(herd.exactlyOnce.words)")
        }
    }

    private func addInserts(to table: inout Table) {
        table.section("Inserts, \(Inserts.clients) connections, \(Self.runs(inserts.count))")
        table.row("transactions/s without otpd and wake-up", inserts.map(\.alone))
        table.row("  with otpd woken, and paused", inserts.map(\.woken))
        table.row("    over that without", inserts.map(\.wokenRatio), digits: 2)
        table.row("  with otpd sending", inserts.map(\.sending))
        table.row("    over that without", inserts.map(\.sendingRatio), digits: 2)
        table.row("    sends meanwhile", inserts.map { Double($0.sent) })
        table.row("    processors of otpd and the simulator", inserts.map(\.cpuOfSending), digits: 2)
        table.note("exactly once: \(Self.words(inserts.map(\.exactlyOnce)))")
    }

    private func add(_ snapshot: Snapshot, to table: inout Table) {
        table.section("Snapshot held open, \(snapshot.asked)/s for \(snapshot.seconds) s")
        table.row("sends/s without", [snapshot.without.perSecond])
        table.row("  with, over that", [snapshot.steadyRatio], digits: 2)
        table.row("commit to receipt, ms: p99 without", [snapshot.without.fromCommit.p99], digits: 2)
        table.row("  with", [snapshot.with.fromCommit.p99], digits: 2)
        table.row("  with, over that", [snapshot.p99Ratio], digits: 2)
        table.row(
            "then \(snapshot.with.drain.jobs) jobs queued, done/s: without", [snapshot.without.drain.donePerSecond])
        table.row("  with", [snapshot.with.drain.donePerSecond])
        table.row("  with, over that", [snapshot.throughputRatio], digits: 2)
        let checks = [snapshot.without, snapshot.with].flatMap { [$0.exactlyOnce, $0.drain.exactlyOnce] }
        table.note("exactly once: \(Self.words(checks))")
    }

    private func add(_ steady: Steady, to table: inout Table) {
        table.section("Steady, \(steady.perSecond)/s for \(steady.seconds) s, with all that runs beside")
        table.row("commit to receipt, ms: p50", [steady.fromCommit.p50], digits: 2)
        table.row("  p99", [steady.fromCommit.p99], digits: 2)
        table.row("  p99.9", [steady.p999], digits: 2)
        table.row("    over p50", [steady.ratio], digits: 1)
        table.row("  max", [steady.fromCommit.max], digits: 2)
        table.row("codes that took more than 250 ms", [Double(steady.gaps)])
        table.row("longest stall of this program's own timer, ms", [steady.longestStall], digits: 2)
        for bucket in steady.histogram {
            table.row("codes up to \(Table.number(bucket.milliseconds, 2)) ms", [Double(bucket.codes)])
        }
        table.row("messages pruned meanwhile", [Double(steady.pruned)])
        table.note("a day ended meanwhile: \(steady.dayEnded ? "yes" : "no")")
        table.row("processors busy for others", [steady.cpuOfOthers], digits: 2)
        table.note("exactly once: \(steady.exactlyOnce.words)")
    }

    private func add(_ backlog: Backlog, to table: inout Table) {
        table.section("Backlog, jobs queued and as many finished, \(Self.runs(backlog.sizes[0].stretches.count))")
        for size in backlog.sizes {
            table.row("\(size.queued) queued: jobs/s", size.stretches.map(\.jobsPerSecond))
            table.row("  claims, ms per 1,000 jobs", size.stretches.map(\.claimMilliseconds), digits: 1)
            table.row("  claims, pages per 1,000 jobs", size.stretches.map(\.claimBuffers))
        }
        table.row("most over fewest: jobs/s", [backlog.ratio(\.jobsPerSecond)], digits: 2)
        table.row("  claims' ms", [backlog.ratio(\.claimMilliseconds)], digits: 2)
        table.row("  claims' pages", [backlog.ratio(\.claimBuffers)], digits: 2)
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
        for minute in idle.minutes {
            table.row("\(minute.workers) workers: transactions", [minute.transactions], digits: 1)
            table.row("  CPU ms of PostgreSQL", [minute.postgresCPU])
            guard minute.workers > 0 else { continue }
            table.row("  transactions per worker, less those without", [idle.transactionsPerWorker(minute)], digits: 1)
            table.row("  CPU ms of otpd", [minute.otpdCPU])
            table.row("  wake-ups of otpd", [minute.wakeUps])
            table.row("  resident memory of a worker, MB", [minute.residentMB], digits: 1)
        }
    }

    private static func runs(_ count: Int) -> String { count == 1 ? "1 run" : "medians of \(count) runs" }

    private static func words(_ checks: [ExactlyOnce]) -> String {
        if checks.allSatisfy(\.isSound) { return "yes, in every run" }
        return checks.enumerated().map { "run \($0.offset + 1): \($0.element.words)" }.joined(separator: "; ")
    }
}
