import Glibc
import TestSupport
import Testing

/// A worker that is stopped (SIGSTOP, a suspended machine) and continues after others have taken over.
@Suite(.database) struct StoppedWorkerTests {
    let database = TestScope.current?.database

    /// Its leases end, and the sweep sets its jobs to `unknown`. Then it continues with Twilio's 201 in its socket: a
    /// SID is evidence, whenever it comes.
    @Test func aLateAnswerSettlesWhatWasCalledUnknown() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        // Twilio's list lags, so the other worker can't find them.
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 1000, "list_lag_ms": 3600000}"#)
        let sleeper = try await Otpd.run(simulator)
        try await database.enqueueMany(5)
        _ = try await eventually("all are at Twilio") { try simulator.stats().concurrent == 5 ? true : nil }
        sleeper.signal(SIGSTOP)
        try await database.text("UPDATE otp.send_jobs SET lease_expires_at = now()")
        try await Otpd.run(simulator)
        try await database.becomes("unknown|5", "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        sleeper.signal(SIGCONT)
        try await database.becomes(
            "accepted|5|1", "SELECT job_state, count(*), max(attempts) FROM otp.delivery_status GROUP BY 1")
        #expect(try simulator.stats().created == 5)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    /// It is stopped for longer than its lease, with jobs claimed ahead. It must not send them when it continues,
    /// because its clock advanced meanwhile.
    @Test func aLeaseIsNotStretchedByStandingStill() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 100}"#)
        try await database.enqueueMany(500)
        let sleeper = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "8"])
        _ = try await eventually("a hundred sends") { try simulator.stats().created >= 100 ? true : nil }
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 1500}"#)
        _ = try await eventually("eight at Twilio") { try simulator.stats().concurrent == 8 ? true : nil }
        try await database.becomes("t", "SELECT count(*) > 12 FROM otp.send_jobs WHERE state = 'sending'")
        sleeper.signal(SIGSTOP)
        try simulator.faults(#"{"rates": {}}"#)
        try await Otpd.run(simulator)
        // The other worker sends the rest at once. The stopped worker's jobs become `unknown` when their lease ends.
        try await database.becomes(
            "t",
            """
            SELECT count(*) FILTER (WHERE state = 'queued') = 0 AND count(DISTINCT worker) = 1 AND count(*) > 8
              FROM otp.send_jobs
            """)
        // Twilio has the few of them that were handed over. The others are not in its list, and wait for the grace.
        let held = try await database.text("SELECT count(*) FROM otp.send_jobs")
        try await database.becomes(
            "0|t|t", within: .seconds(60),
            """
            SELECT count(*) FILTER (WHERE state <> 'unknown' OR next_lookup_at < now()), count(*) > 0, count(*) < \(held)
              FROM otp.send_jobs
            """)
        sleeper.signal(SIGCONT)
        // It releases them, because it knows for certain that it did not hand them over. They are sent once.
        try await database.becomes(
            "accepted|500", within: .seconds(30), "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        let stats = try simulator.stats()
        #expect(stats.created == 500)
        #expect(stats.numbersRepeated == 0)
        #expect(sleeper.ending == nil)
    }
}
