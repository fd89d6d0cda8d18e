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
        var report = Report(processors: MachineLoad.processors, server: try await database.serverSettings())
        let parts = plan.parts.isEmpty ? Part.allCases : plan.parts
        // Interleaved, so that a noisy minute does not fall on one part alone.
        for run in 1...plan.runs {
            if parts.contains(.throughput) {
                say("==> Throughput, run \(run) of \(plan.runs): \(plan.jobs) jobs")
                report.throughput.append(try await Throughput.measure(self))
            }
            if parts.contains(.latency) {
                say("==> Latency, run \(run) of \(plan.runs): \(plan.rate)/s for \(plan.seconds) s")
                report.latency.append(try await Latency.measure(self))
            }
        }
        if parts.contains(.backlog) {
            say("==> Backlog: \(plan.backlog) jobs")
            report.backlog = try await Backlog.measure(self)
        }
        if parts.contains(.overload) {
            say(
                "==> Overload: \(2 * plan.overloadRate)/s for \(plan.overloadSeconds) s, \(plan.overloadRate)/s allowed"
            )
            report.overload = try await Overload.measure(self)
        }
        if parts.contains(.throttle) {
            say("==> Throttle: \(plan.throttleJobs) jobs, 20 requests at a time and 50 a second allowed")
            report.throttle = try await Throttle.measure(self)
        }
        if parts.contains(.idle) {
            say("==> Idling: twice \(plan.idleSeconds) s")
            report.idle = try await Idle.measure(self)
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
