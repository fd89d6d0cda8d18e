internal import ArgumentParser

/// A part of the benchmark.
enum Part: String, CaseIterable, ExpressibleByArgument, Sendable {
    case throughput, provider, latency, processes, inserts, snapshot, steady, backlog, overload, throttle, idle
}

/// The program's arguments: the parts to measure, and their sizes.
struct Plan: ParsableArguments {
    @Argument(help: "What to measure: \(Part.allCases.map(\.rawValue).joined(separator: ", ")). Default: all.")
    var parts: [Part] = []

    @Option(help: "The otpd program to measure.")
    var otpd = "otpd"

    @Option(help: "Throughput: jobs queued before the worker starts.")
    var jobs = 40_000

    @Option(help: "Runs of each short part, interleaved. The table shows medians.")
    var runs = 3

    @Option(help: "Provider: milliseconds that the simulator takes for every answer.")
    var providerMS = 80

    @Option(help: "Provider: requests at a time.")
    var providerInFlight = 1024

    @Option(help: "Latency: transactions per second, one code each.")
    var rate = 100

    @Option(help: "Latency: seconds per run.")
    var seconds = 10

    @Option(help: "Inserts: seconds of each measurement.")
    var insertSeconds = 4

    @Option(
        help: "Snapshot: transactions per second, one code each; less if the machine cannot do twice that.")
    var snapshotRate = 1000

    @Option(help: "Snapshot: seconds of each measurement, with and without one.")
    var snapshotSeconds = 30

    @Option(help: "Steady: transactions per second, one code each.")
    var steadyRate = 300

    @Option(help: "Steady: seconds of the measurement. A hiccup of each hour needs the hour.")
    var steadySeconds = 60

    @Option(
        help: "Backlog: most jobs queued, and as many finished, compared with 10,000. Ten million take half an hour.")
    var backlog = 1_000_000

    @Option(help: "Overload: the worker's sends per second. Twice as many are requested.")
    var overloadRate = 150

    @Option(help: "Throttle: jobs queued. 50 a second are allowed.")
    var throttleJobs = 2000

    @Option(help: "Overload: seconds of the measurement.")
    var overloadSeconds = 30

    @Option(help: "Idling: seconds of the measurement.")
    var idleSeconds = 20

    @Option(help: "Throughput: a script for wrk that creates messages, to measure simulator and HTTP alone.")
    var wrkScript: String?

    @Option(help: "File to write the results to, as JSON.")
    var json: String?

    func validate() throws {
        guard (1...1_000_000).contains(jobs) else { throw ValidationError("--jobs must be 1 to 1000000") }
        guard (1...20).contains(runs) else { throw ValidationError("--runs must be 1 to 20") }
        guard (1...5000).contains(rate) else { throw ValidationError("--rate must be 1 to 5000") }
        guard (2...600).contains(seconds) else { throw ValidationError("--seconds must be 2 to 600") }
        guard (0...10_000).contains(providerMS) else { throw ValidationError("--provider-ms must be 0 to 10000") }
        guard (1...10_000).contains(providerInFlight) else {
            throw ValidationError("--provider-in-flight must be 1 to 10000")
        }
        guard (1...60).contains(insertSeconds) else { throw ValidationError("--insert-seconds must be 1 to 60") }
        guard (1...5000).contains(snapshotRate) else { throw ValidationError("--snapshot-rate must be 1 to 5000") }
        guard (2...1200).contains(snapshotSeconds) else {
            throw ValidationError("--snapshot-seconds must be 2 to 1200")
        }
        guard (1...5000).contains(steadyRate) else { throw ValidationError("--steady-rate must be 1 to 5000") }
        guard (10...7200).contains(steadySeconds), steadyRate * steadySeconds < 10_000_000 else {
            throw ValidationError("--steady-seconds must be 10 to 7200, for fewer than 10 million codes")
        }
        guard (20_000...10_000_000).contains(backlog) else {
            throw ValidationError("--backlog must be 20000 to 10000000")
        }
        guard (1...1000).contains(overloadRate) else { throw ValidationError("--overload-rate must be 1 to 1000") }
        guard (11...240).contains(overloadSeconds) else {
            throw ValidationError("--overload-seconds must be 11 to 240")
        }
        guard (5...600).contains(idleSeconds) else { throw ValidationError("--idle-seconds must be 5 to 600") }
    }
}
