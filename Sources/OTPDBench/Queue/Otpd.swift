internal import EventLoop
internal import Glibc

/// One measured `otpd run`.
struct Otpd {
    let process: ChildProcess
    let loop: EventLoop

    /// Starts it. The settings common to all runs come from our own environment.
    init(
        _ program: String, on loop: EventLoop, ratePerSecond: Int? = nil, maxInFlight: Int? = nil,
        logLevel: String = "warning", environment more: [String: String] = [:]
    ) throws {
        var environment = more
        environment["OTPD_LOG_LEVEL"] = ChildProcess.variable("OTPD_LOG_LEVEL") ?? logLevel
        if let ratePerSecond { environment["OTPD_RATE_PER_SECOND"] = String(ratePerSecond) }
        if let maxInFlight { environment["OTPD_MAX_IN_FLIGHT"] = String(maxInFlight) }
        process = try ChildProcess(program, ["run"], environment: environment)
        self.loop = loop
    }

    /// Waits until it, or `count` workers, have registered in the database.
    func untilRunning(_ database: Database, count: Int = 1) async throws {
        try await until("\(count) workers run", atMost: .seconds(15)) { try await database.workers() >= count }
    }

    /// Waits for something that needs a running worker.
    func until(
        _ what: String, atMost span: Instant.Duration, every pause: Instant.Duration = .milliseconds(20),
        _ isTrue: () async throws -> Bool
    ) async throws {
        let limit = Instant.now() + span
        while try await !isTrue() {
            guard process.isRunning else { throw BenchError("otpd ended by itself before \(what)") }
            guard Instant.now() < limit else {
                throw BenchError("timed out after \(Int(span.seconds)) s, before \(what)")
            }
            try await loop.sleep(for: pause)
        }
    }

    /// Its peak resident memory in MB of 1024 × 1024 bytes.
    var peakMemory: Double { Double(ProcFile.status(process.pid, "VmHWM") ?? 0) / 1024 }

    /// Lets it drain and exit.
    func stop() async throws {
        let code = try await process.stop(on: loop)
        guard code == 0 else { throw BenchError("otpd ended with exit code \(code) when told to stop") }
    }
}
