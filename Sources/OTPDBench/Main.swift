import ArgumentParser
internal import EventLoop
internal import Glibc
internal import Postgres

/// `otpd-bench`: measures `otpd run` against a simulated Twilio. Never part of otpd.
@main
struct OTPDBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otpd-bench",
        abstract: "Measures `otpd run`: throughput, latency, backlog, overload, idling and what it costs.",
        discussion: """
            `make bench` (deploy/bench/run) starts what it needs and ends it afterwards. By hand it takes, from the \
            environment: PG* of a throwaway database named \(Database.requiredName), which it empties again and again; \
            the settings of otpd, with TWILIO_API_BASE_URL leading to a twilio-simulator; and its process in SIMULATOR_PID.

            Every figure stands beside one of the same run: the leanest queue alone and the simulator alone for \
            throughput, a durable commit and a round trip for latency, one worker for several, no otpd for those who \
            insert and for idling, no open snapshot for one, 10,000 jobs for a backlog, what a perfect server could do \
            for overload. Exit code 1 when a job was lost or sent twice.
            """)

    @OptionGroup var plan: Plan

    /// Not asynchronous: of a program whose `main` is, Dispatch has a thread take signals the old way, which ends the
    /// program, and what it started stays.
    func run() throws {
        let signals = [SIGTERM, SIGINT, SIGHUP]
        // Before any other thread, so that all threads leave them to the loop.
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
