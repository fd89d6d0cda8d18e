internal import EventLoop
internal import Glibc

/// The common means of all parts: the plan, the loop, the database and the simulator.
struct Bench {
    let plan: Plan
    let loop: EventLoop
    let database: Database
    let simulator: SimulatorClient
    let simulatorTree: ProcessTree
    let own = ProcessTree(root: getpid())

    init(_ plan: Plan, on loop: EventLoop) async throws {
        self.plan = plan
        self.loop = loop
        guard let url = ChildProcess.variable("TWILIO_API_BASE_URL") else {
            throw BenchError("TWILIO_API_BASE_URL is not set. Set it to the address of a twilio-simulator.")
        }
        simulator = try SimulatorClient(url: url)
        guard let pid = ChildProcess.variable("SIMULATOR_PID").flatMap({ Int32($0) }), kill(pid, 0) == 0 else {
            throw BenchError("SIMULATOR_PID is not set. Set it to the process id of the twilio-simulator.")
        }
        simulatorTree = ProcessTree(root: pid)
        database = try await Database.open(on: loop)
    }

    /// Empties everything and fills the history with `count` copies of one message, as otpd writes it.
    func fillHistory(count: Int) async throws {
        try await database.reset()
        try simulator.reset()
        try await database.fill(count: 1)
        let otpd = try Otpd(plan.otpd, on: loop)
        try await otpd.until("a job was recorded", atMost: .seconds(15)) { try await database.isDrained() }
        try await otpd.stop()
        try await database.fillHistory(count: count)
    }
}
