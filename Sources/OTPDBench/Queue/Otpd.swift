internal import EventLoop
internal import Glibc

/// One `otpd run`, started to be measured.
struct Otpd {
    let process: ChildProcess
    let loop: EventLoop

    /// Starts it; the settings that all runs share come from our own environment.
    init(
        _ program: String, on loop: EventLoop, ratePerSecond: Int? = nil, maxInFlight: Int? = nil,
        logLevel: String = "warning"
    ) throws {
        var environment = ["OTPD_LOG_LEVEL": ChildProcess.variable("OTPD_LOG_LEVEL") ?? logLevel]
        if let ratePerSecond { environment["OTPD_RATE_PER_SECOND"] = String(ratePerSecond) }
        if let maxInFlight { environment["OTPD_MAX_IN_FLIGHT"] = String(maxInFlight) }
        process = try ChildProcess(program, ["run"], environment: environment)
        self.loop = loop
    }

    /// Waits until it, or `count` of its kind, have registered with the database.
    func untilRunning(_ database: Database, count: Int = 1) async throws {
        try await until("\(count) workers run", atMost: .seconds(15)) { try await database.workers() >= count }
    }

    /// Waits for something that takes a living worker.
    func until(
        _ what: String, atMost span: Instant.Duration, every pause: Instant.Duration = .milliseconds(20),
        _ isTrue: () async throws -> Bool
    ) async throws {
        let limit = Instant.now() + span
        while try await !isTrue() {
            guard process.isRunning else { throw BenchError("otpd ended by itself while waiting until \(what)") }
            guard Instant.now() < limit else {
                throw BenchError("gave up after \(Int(span.seconds)) s waiting until \(what)")
            }
            try await loop.sleep(for: pause)
        }
    }

    /// The most memory it has had resident, in MB of 1024 × 1024.
    var peakMemory: Double { Double(ProcFile.status(process.pid, "VmHWM") ?? 0) / 1024 }

    /// Has it drain and leave.
    func stop() async throws {
        let code = try await process.stop(on: loop)
        guard code == 0 else { throw BenchError("otpd ended with exit code \(code) when told to stop") }
    }
}
