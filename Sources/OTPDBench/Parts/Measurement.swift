internal import EventLoop
internal import Glibc
internal import Postgres

/// One call of the program: what is measured, with what, in which order.
struct Measurement {
    let plan: OTPDBench
    let loop: EventLoop
    let database: Database
    let simulator: SimulatorClient
    let simulatorTree: ProcessTree
    let own = ProcessTree(root: getpid())

    init(_ plan: OTPDBench, on loop: EventLoop) async throws {
        self.plan = plan
        self.loop = loop
        guard let url = ChildProcess.variable("TWILIO_API_BASE_URL") else {
            throw BenchError("TWILIO_API_BASE_URL is not set: give the address of a twilio-simulator")
        }
        simulator = try SimulatorClient(url: url)
        guard let pid = ChildProcess.variable("SIMULATOR_PID").flatMap({ Int32($0) }), kill(pid, 0) == 0 else {
            throw BenchError("SIMULATOR_PID is not set to the process of the twilio-simulator")
        }
        simulatorTree = ProcessTree(root: pid)
        database = try await Database.open(on: loop)
    }

    /// Measures, prints the table, writes the JSON. False when a job was lost or sent twice.
    func run() async throws -> Bool {
        var report = Report(server: try await database.serverSettings())
        let parts = plan.parts.isEmpty ? Part.allCases : plan.parts
        // Interleaved, so that a noisy minute does not fall on one part alone.
        for run in 1...plan.runs {
            let isEven = run % 2 == 0
            for part in parts {
                func saying(_ what: String) { say("==> \(part.rawValue), run \(run) of \(plan.runs): \(what)") }
                switch part {
                case .throughput:
                    saying("\(plan.jobs) jobs")
                    report.throughput.append(try await Throughput.measure(self))
                case .provider:
                    saying("\(plan.jobs) jobs, \(plan.providerMS) ms an answer, \(plan.providerInFlight) in flight")
                    report.provider.append(
                        try await Throughput.measure(
                            self, providerLatency: plan.providerMS, maxInFlight: plan.providerInFlight))
                case .latency:
                    saying("\(plan.rate)/s for \(plan.seconds) s")
                    report.latency.append(try await Latency.measure(self))
                case .processes:
                    saying("two workers and one, \(plan.jobs) jobs")
                    report.processes.pairs.append(try await Processes.pair(self, twoFirst: isEven))
                case .inserts:
                    saying("\(Inserts.clients) clients, three times \(plan.insertSeconds) s")
                    report.inserts.append(try await Inserts.measure(self, backwards: isEven))
                case .snapshot, .backlog, .overload, .throttle, .idle:
                    break  // Once, below.
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
                    report.processes.herd.append(try await Processes.herd(self, processes: processes))
                }
            case .snapshot:
                saying("twice at most \(plan.snapshotRate)/s for \(plan.snapshotSeconds) s, then \(plan.jobs) jobs")
                report.snapshot = try await Snapshot.measure(self)
            case .backlog:
                saying("up to \(plan.backlog) jobs queued")
                report.backlog = try await Backlog.measure(self)
            case .overload:
                saying("\(2 * plan.overloadRate)/s for \(plan.overloadSeconds) s, \(plan.overloadRate)/s allowed")
                report.overload = try await Overload.measure(self)
            case .throttle:
                saying("\(plan.throttleJobs) jobs, 20 requests at a time and 50 a second allowed")
                report.throttle = try await Throttle.measure(self)
            case .idle:
                saying("no worker, one, four: \(plan.idleSeconds) s each")
                report.idle = try await Idle.measure(self)
            }
        }
        await database.connection.close()
        print(report.table, terminator: "")
        if let path = plan.json {
            try report.write(to: path)
            print("\nWritten to \(path)")
        }
        return report.isSound
    }
}
