import ArgumentParser
internal import EventLoop
internal import Glibc
internal import Postgres

/// `otpd-bench`: measures `otpd run` against a simulated Twilio. Never part of otpd.
@main
struct OTPDBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otpd-bench",
        abstract: "Measures throughput, latency, backlog, overload and idling of `otpd run`.",
        discussion: """
            `make bench` (deploy/bench/run) starts what it needs and ends it afterwards. By hand it takes, from the \
            environment: PG* of a throwaway database named \(Database.requiredName), which it empties again and again; \
            the settings of otpd, with TWILIO_API_BASE_URL leading to a twilio-simulator; and its process in SIMULATOR_PID.

            Every figure stands beside one of the same run: the queue alone and the simulator alone for throughput, a \
            durable commit and a round trip for latency, 10,000 jobs for a backlog, what a perfect server could do for \
            overload, the server without otpd for idling. Exit code 1 when a job was lost or sent twice.
            """)

    @Argument(help: "What to measure: \(Part.allCases.map(\.rawValue).joined(separator: ", ")). All without.")
    var parts: [Part] = []

    @Option(help: "The otpd to measure.")
    var otpd = "otpd"

    @Option(help: "Throughput: jobs queued before the worker starts.")
    var jobs = 20_000

    @Option(help: "Throughput and latency: runs, interleaved; medians are shown.")
    var runs = 3

    @Option(help: "Latency: transactions per second, one code each.")
    var rate = 100

    @Option(help: "Latency: seconds per run.")
    var seconds = 20

    @Option(help: "Backlog: jobs queued, compared with 10,000.")
    var backlog = 100_000

    @Option(help: "Overload: what the worker may send per second; twice that is asked of it.")
    var overloadRate = 150

    @Option(help: "Throttle: jobs queued, 50 a second allowed.")
    var throttleJobs = 5000

    @Option(help: "Overload: seconds of it.")
    var overloadSeconds = 30

    @Option(help: "Idling: seconds to watch.")
    var idleSeconds = 30

    @Option(help: "Throughput: a script for wrk that creates messages, for the ceiling of simulator and HTTP.")
    var wrkScript: String?

    @Option(help: "File to write the results to, as JSON.")
    var json: String?

    func validate() throws {
        guard (1...1_000_000).contains(jobs) else { throw ValidationError("--jobs must be 1 to 1000000") }
        guard (1...20).contains(runs) else { throw ValidationError("--runs must be 1 to 20") }
        guard (1...5000).contains(rate) else { throw ValidationError("--rate must be 1 to 5000") }
        guard (2...600).contains(seconds) else { throw ValidationError("--seconds must be 2 to 600") }
        guard (10_001...1_000_000).contains(backlog) else {
            throw ValidationError("--backlog must be 10001 to 1000000")
        }
        guard (1...1000).contains(overloadRate) else { throw ValidationError("--overload-rate must be 1 to 1000") }
        guard (11...240).contains(overloadSeconds) else {
            throw ValidationError("--overload-seconds must be 11 to 240")
        }
        guard (5...600).contains(idleSeconds) else { throw ValidationError("--idle-seconds must be 5 to 600") }
    }

    func run() async throws {
        let signals = [SIGTERM, SIGINT, SIGHUP]
        // Before any other thread, so that all threads leave them to the loop.
        Signals.block(signals)
        let loop = try EventLoop.start(name: "otpd-bench")
        let plan = self
        let isSound = try await Task(executorPreference: loop) {
            try Signals.watch(signals, on: loop) { signal in
                Children.killAll()
                Glibc.exit(128 + signal)
            }
            defer { Children.killAll() }
            do {
                return try await Measurement(plan, on: loop).run()
            } catch {
                say("otpd-bench: \(error)")
                return false
            }
        }.value
        loop.stop()
        if !isSound { throw ExitCode(1) }
    }
}

/// What can be measured.
enum Part: String, CaseIterable, ExpressibleByArgument, Sendable {
    case throughput, latency, backlog, overload, throttle, idle
}

/// Why nothing, or nothing sound, could be measured.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Progress and trouble, to standard error: standard output is for the table.
func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    var rest = bytes[...]
    while !rest.isEmpty {
        let written = rest.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        guard written > 0 else { return }
        rest = rest.dropFirst(written)
    }
}
