import TestSupport
import Testing

/// Twilio, or the connection to it, is down. Sending stops and resumes by itself, and no job is lost by it.
@Suite(.database) struct OutageTests {
    let database = TestScope.current?.database

    private static let paused = "SELECT state FROM otp.worker_status"

    @Test func nobodyListens() async throws {
        let database = try #require(database)
        let port = try Loopback.freePort()
        let otpd = try await Otpd.run(at: "http://127.0.0.1:\(port)", ["OTPD_MAX_IN_FLIGHT": "16"])
        try await database.enqueueMany(300)
        try await database.becomes("paused", Self.paused)
        try await otpd.says("paused: nothing is sent, jobs wait")
        #expect(
            try await database.text("SELECT reason, remedy <> '' FROM otp.worker_status")
                == "No connection to Twilio could be made.|t")
        // A pause costs attempts only of the few jobs that were under way.
        let tried = try await database.text("SELECT count(*) FROM otp.send_jobs WHERE attempt > 0")
        try await stays("no further job is tried", for: .seconds(3)) {
            try await database.text("SELECT count(*) FROM otp.send_jobs WHERE attempt > 0") == tried
        }
        let simulator = try await Simulator.start(port: port)
        try await database.becomes(
            "accepted|300", within: .seconds(20), "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        try await database.becomes("running", Self.paused)
        try await otpd.says("resumed: Twilio accepts messages again")
        let stats = try simulator.stats()
        #expect(stats.created == 300)
        #expect(stats.maxConcurrent <= 16)
    }

    /// Answers that leave the outcome unknown stop sending before the whole queue is unknown.
    @Test(arguments: ["503", "read_then_close"])
    func nothingGetsThrough(fault: String) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(
            #"{"rates": {"\#(fault)": 1}, "next": [{"fault": "\#(fault)", "on": "list", "count": 100000}]}"#)
        try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "16"])
        try await database.enqueueMany(300)
        try await database.becomes("paused", Self.paused)
        try await stays("no further job is tried", for: .seconds(3)) {
            let unknown = try await database.text("SELECT count(*) <= 32 FROM otp.send_jobs WHERE state = 'unknown'")
            return unknown == "t"
        }
        try simulator.faults(#"{"rates": {}, "next": []}"#)
        try await database.becomes(
            "0|t", within: .seconds(20),
            """
            SELECT count(*) FILTER (WHERE job_state IN ('queued', 'sending')),
                   count(*) FILTER (WHERE job_state = 'accepted') >= 268 FROM otp.delivery_status
            """)
        #expect(try simulator.stats().numbersRepeated == 0)
    }
}
