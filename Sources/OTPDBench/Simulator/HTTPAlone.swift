internal import EventLoop
internal import Glibc

/// The simulator without otpd: wrk creates messages over as many connections as otpd may use. It shows the throughput
/// of a sender in C without the cost of a queue, with wrk's share of the machine.
enum HTTPAlone {
    /// Creates per second during three seconds; nil if wrk is not installed.
    static func perSecond(
        _ simulator: SimulatorClient, script: String?, connections: Int, on loop: EventLoop
    ) async throws -> Double? {
        guard let script else { return nil }
        let output = "/tmp/otpd-bench-wrk.\(getpid()).out"
        defer { unlink(output) }
        let wrk: ChildProcess
        do {
            wrk = try ChildProcess(
                "wrk", ["-t1", "-c\(connections)", "-d3s", "-s", script, simulator.url], output: output)
        } catch {
            return nil
        }
        guard try await wrk.wait(atMost: .seconds(15), on: loop) == 0 else { return nil }
        let text = ProcFile.read(output) ?? ""
        guard !text.contains("Non-2xx"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Requests/sec:") })
        else { throw BenchError("wrk could not create messages at the simulator:\n\(text)") }
        return line.split(separator: " ").last.flatMap { Double($0) }
    }
}
