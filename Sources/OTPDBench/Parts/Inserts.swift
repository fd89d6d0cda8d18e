internal import EventLoop
internal import Glibc

/// The cost of otpd for backends: transactions per second of 64 connections, each calling `otp.request` as fast as it
/// can. Measured without a worker, with a worker that is woken but paused, and with one that sends.
struct Inserts: Codable {
    /// Without otpd and notifications.
    var alone: Double
    /// With otpd notified but paused: the cost of the wake-up.
    var woken: Double
    /// With otpd sending on the same processors.
    var sending: Double
    /// Sends made meanwhile, and the processors that otpd and the simulator used for them.
    var sent: Int
    var cpuOfSending: Double
    var exactlyOnce: ExactlyOnce

    var wokenRatio: Double { woken / alone }
    var sendingRatio: Double { sending / alone }

    static let clients = 64

    static func measure(_ bench: Bench, backwards: Bool) async throws -> Inserts {
        let (database, simulator, loop) = (bench.database, bench.simulator, bench.loop)
        var result = Inserts(
            alone: 0, woken: 0, sending: 0, sent: 0, cpuOfSending: 0, exactlyOnce: ExactlyOnce(jobs: 0, notAccepted: 0))
        let kinds = [0, 1, 2]
        for kind in backwards ? kinds.reversed() : kinds {
            try await database.reset()
            try simulator.reset()
            try await database.settle()
            try await database.run("DROP SEQUENCE IF EXISTS bench_number; CREATE SEQUENCE bench_number MINVALUE 0")
            if kind == 0 {
                try await database.run("ALTER TABLE otp.send_jobs DISABLE TRIGGER wake_workers")
                result.alone = try await pgbench(bench).perSecond
                try await database.run("ALTER TABLE otp.send_jobs ENABLE TRIGGER wake_workers")
                continue
            }
            if kind == 1 { try await control(bench, ["pause", "--all", "--reason", "a benchmark"]) }
            // A pause is logged as an error, but this one is intended.
            let otpd = try Otpd(bench.plan.otpd, on: loop, logLevel: kind == 1 ? "critical" : "warning")
            try await otpd.untilRunning(database)
            let tree = ProcessTree(root: otpd.process.pid)
            let before = (tree.cpuSeconds(), bench.simulatorTree.cpuSeconds(), try simulator.statistics().numbers)
            let (perSecond, seconds, jobs) = try await pgbench(bench)
            if kind == 1 {
                result.woken = perSecond
                try await otpd.stop()
                try await control(bench, ["resume", "--all"])
                continue
            }
            result.sending = perSecond
            result.sent = try simulator.statistics().numbers - before.2
            result.cpuOfSending =
                (tree.cpuSeconds() - before.0 + bench.simulatorTree.cpuSeconds() - before.1) / seconds
            try await otpd.until("\(jobs) jobs were sent", atMost: .seconds(60)) {
                try simulator.statistics().numbers >= jobs
            }
            try await otpd.until("\(jobs) jobs were recorded", atMost: .seconds(30)) {
                try await database.isDrained()
            }
            try await otpd.stop()
            result.exactlyOnce = try await ExactlyOnce.check(jobs: jobs, simulator: simulator, database: database).0
        }
        try await database.run("DROP SEQUENCE bench_number")
        return result
    }

    /// Transactions per second, their duration, and their number.
    private static func pgbench(
        _ bench: Bench
    ) async throws -> (perSecond: Double, seconds: Double, transactions: Int) {
        let (script, output) = ("/tmp/otpd-bench-\(getpid()).sql", "/tmp/otpd-bench-pgbench.\(getpid()).out")
        defer { for path in [script, output] { unlink(path) } }
        let text = """
            SELECT otp.request('bench:' || n, '+96650' || lpad(n::text, 7, '0')) FROM nextval('bench_number') n;

            """
        guard let file = fopen(script, "w") else { throw BenchError("cannot write \(script)") }
        fputs(text, file)
        fclose(file)
        let seconds = bench.plan.insertSeconds
        let secret = ChildProcess.variable("OTPD_SECRET") ?? ""
        let pgbench = try ChildProcess(
            "pgbench", ["-n", "-M", "prepared", "-c", String(clients), "-j", "2", "-T", String(seconds), "-f", script],
            environment: ["PGOPTIONS": "-c otp.secret=\(secret) -c client_min_messages=error"], output: output)
        guard try await pgbench.wait(atMost: .seconds(Int64(seconds + 30)), on: bench.loop) == 0 else {
            throw BenchError("pgbench could not request codes:\n\(ProcFile.read(output) ?? "")")
        }
        var (rate, count) = (0.0, 0)
        for line in (ProcFile.read(output) ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("tps = ") { rate = Double(words[2]) ?? 0 }
            if line.hasPrefix("number of transactions actually processed: ") {
                count = words.last.flatMap { Int($0) } ?? 0
            }
        }
        guard rate > 0, count > 0 else { throw BenchError("pgbench did not print its rate") }
        return (rate, Double(seconds), count)
    }

    /// Runs `otpd pause` or `otpd resume` for everything.
    private static func control(_ bench: Bench, _ command: [String]) async throws {
        let otpd = try ChildProcess(bench.plan.otpd, command)
        guard try await otpd.wait(atMost: .seconds(15), on: bench.loop) == 0 else {
            throw BenchError("otpd \(command[0]) failed")
        }
    }
}
