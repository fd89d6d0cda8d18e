import TestSupport
import Testing

/// A firewall, a proxy or a captive portal answers in Twilio's place.
@Suite(.database) struct BlockedTests {
    let database = TestScope.current?.database

    private static let states = "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1 ORDER BY 1"
    private static let state = "SELECT state FROM otp.worker_status"

    /// A refusal that is not Twilio's ends no job. The job is retried, and sent once the way is free.
    @Test(arguments: [400, 401, 403, 404, 407, 413, 451])
    func aRefusalOfSomebodyElsesIsTriedAgain(status: Int) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"next": [{"fault": "blocked", "status": \#(status), "count": 2}]}"#)
        try await Otpd.run(simulator)
        try await database.enqueue("+966501230001")
        try await database.becomes("accepted|1", Self.states)
        #expect(try simulator.stats().creates == 3)
        #expect(try await database.text("SELECT attempts, error_code FROM otp.delivery_status") == "3|")
    }

    /// Nothing gets through: a pause that names the responder, probes with one job, and ends by itself.
    @Test func aFirewallIsAPause() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        // Reads pass, so only a send reveals it.
        try simulator.faults(#"{"rates": {"blocked": 1}}"#)
        let otpd = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "16"])
        try await database.enqueueMany(300)
        try await database.becomes("paused", Self.state)
        try await otpd.says("paused: nothing is sent, jobs wait")
        #expect(
            try await database.text(
                """
                SELECT reason LIKE '%403%' AND reason LIKE '%text/html%' AND reason LIKE '%simulated-firewall%'
                       AND reason LIKE '%simulated-proxy%', remedy LIKE '%TWILIO_API_BASE_URL%'
                  FROM otp.worker_status
                """) == "t|t")
        // Probes go one at a time. No outcome is unknown, and no job has failed.
        let creates = try simulator.stats().creates
        try await stays("few requests are made", for: .seconds(4)) { try simulator.stats().creates <= creates + 8 }
        #expect(
            try await database.text("SELECT count(*) FROM otp.send_jobs WHERE state IN ('queued', 'sending')") == "300")
        try simulator.faults(#"{"rates": {}}"#)
        try await database.becomes("accepted|300", within: .seconds(30), Self.states)
        try await database.becomes("running", Self.state)
        let stats = try simulator.stats()
        #expect(stats.created == 300 && stats.numbersRepeated == 0)
    }

    /// A page in place of Twilio's answer makes the outcome unknown. otpd pauses before the whole queue is unknown.
    /// Reads that get such a page too do not end the pause.
    @Test(arguments: [200, 302])
    func aCaptivePortalIsAPause(status: Int) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"next": [{"fault": "blocked", "status": \#(status), "on": "any", "count": 100000}]}"#)
        try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "16"])
        try await database.enqueueMany(300)
        try await database.becomes("paused", Self.state)
        try await stays("no further job is tried", for: .seconds(3)) {
            try await database.text("SELECT count(*) <= 32 FROM otp.send_jobs WHERE state = 'unknown'") == "t"
        }
        try simulator.faults(#"{"next": []}"#)
        try await database.becomes(
            "0|t", within: .seconds(20),
            """
            SELECT count(*) FILTER (WHERE job_state IN ('queued', 'sending')),
                   count(*) FILTER (WHERE job_state = 'accepted') >= 268 FROM otp.delivery_status
            """)
        #expect(try simulator.stats().numbersRepeated == 0)
    }
}
