import ArgumentParser
internal import EventLoop
internal import Glibc
internal import Postgres

/// `otpd-bench`: measures `otpd run` against a simulated Twilio. Not a part of otpd.
@main
struct OTPDBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otpd-bench",
        abstract: "Measures `otpd run`: throughput, latency, backlog, overload, idling and their cost.",
        discussion: """
            `make bench` (deploy/bench/run) starts everything it needs and ends it afterwards. To run it by hand, set in the \
            environment: PG* for a throwaway database named \(Database.requiredName), which is emptied again and again; \
            the settings of otpd, with TWILIO_API_BASE_URL leading to a twilio-simulator; and its process id in \
            SIMULATOR_PID.

            Each figure has a comparison from the same run. Throughput: the leanest queue alone, and the simulator \
            alone. Latency: a durable commit and a round trip. Several workers: one worker. Inserts and idling: no \
            otpd. An open snapshot: none. A backlog: 10,000 jobs. Overload: a perfect server. The exit code is 1 if a \
            job was lost or sent twice.
            """)

    @OptionGroup var plan: Plan

    /// Not asynchronous. In a program with an asynchronous `main`, a thread of Dispatch takes signals with their
    /// default disposition, which ends the program without ending its child processes.
    func run() throws {
        let signals = [SIGTERM, SIGINT, SIGHUP]
        // Blocked before any other thread starts, so that all threads leave the signals to the loop.
        Signals.block(signals)
        let loop = try EventLoop.start(name: "otpd-bench")
        let plan = plan
        Task(executorPreference: loop) {
            var isSound = false
            do {
                try Signals.watch(signals, on: loop) { signal in
                    Children.killAll()
                    Glibc.exit(128 + signal)
                }
                isSound = try await Schedule(Bench(plan, on: loop)).run()
            } catch {
                say("otpd-bench: \(error)")
            }
            Children.killAll()
            Glibc.exit(isSound ? 0 : 1)
        }
        while true { pause() }
    }
}
