internal import Postgres

/// One run of the program: which parts are measured, and in which order.
struct Schedule {
    private let bench: Bench

    init(_ bench: Bench) { self.bench = bench }

    /// Measures, prints the table, and writes the JSON. False if a job was lost or sent twice.
    func run() async throws -> Bool {
        var report = Report(server: try await bench.database.serverSettings())
        let plan = bench.plan
        let parts = plan.parts.isEmpty ? Part.allCases : plan.parts
        // Interleaved, so that a noisy minute affects more than one part.
        for run in 1...plan.runs {
            let isEven = run % 2 == 0
            for part in parts {
                func saying(_ what: String) { say("==> \(part.rawValue), run \(run) of \(plan.runs): \(what)") }
                switch part {
                case .throughput:
                    saying("\(plan.jobs) jobs")
                    report.throughput.append(try await Throughput.measure(bench))
                case .provider:
                    saying("\(plan.jobs) jobs, \(plan.providerMS) ms an answer, \(plan.providerInFlight) in flight")
                    report.provider.append(
                        try await Throughput.measure(
                            bench, providerLatency: plan.providerMS, maxInFlight: plan.providerInFlight))
                case .latency:
                    saying("\(plan.rate)/s for \(plan.seconds) s")
                    report.latency.append(try await Latency.measure(bench))
                case .processes:
                    saying("two workers and one, \(plan.jobs) jobs")
                    report.processes.pairs.append(try await Processes.pair(bench, twoFirst: isEven))
                case .inserts:
                    saying("\(Inserts.clients) clients, three times \(plan.insertSeconds) s")
                    report.inserts.append(try await Inserts.measure(bench, backwards: isEven))
                case .snapshot, .steady, .backlog, .overload, .throttle, .idle:
                    break  // Measured once, below.
                }
            }
        }
        for part in parts {
            func saying(_ what: String) { say("==> \(part.rawValue): \(what)") }
            switch part {
            case .throughput, .provider, .latency, .inserts:
                break
            case .processes:
                for processes in [1, 4] {
                    saying("\(Processes.rate)/s for \(processes)")
                    report.processes.herd.append(try await Processes.herd(bench, processes: processes))
                }
            case .snapshot:
                saying("twice at most \(plan.snapshotRate)/s for \(plan.snapshotSeconds) s, then \(plan.jobs) jobs")
                report.snapshot = try await Snapshot.measure(bench)
            case .steady:
                saying("\(plan.steadyRate)/s for \(plan.steadySeconds) s, with all that runs beside")
                report.steady = try await Steady.measure(bench)
            case .backlog:
                saying("up to \(plan.backlog) jobs queued")
                report.backlog = try await Backlog.measure(bench)
            case .overload:
                saying("\(2 * plan.overloadRate)/s for \(plan.overloadSeconds) s, \(plan.overloadRate)/s allowed")
                report.overload = try await Overload.measure(bench)
            case .throttle:
                saying("\(plan.throttleJobs) jobs, 20 requests at a time and 50 a second allowed")
                report.throttle = try await Throttle.measure(bench)
            case .idle:
                saying("no worker, one, four: \(plan.idleSeconds) s each")
                report.idle = try await Idle.measure(bench)
            }
        }
        await bench.database.connection.close()
        print(report.table, terminator: "")
        if let path = plan.json {
            try report.write(to: path)
            print("\nWritten to \(path)")
        }
        return report.isSound
    }
}
