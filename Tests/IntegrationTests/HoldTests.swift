import TestSupport
import Testing

/// Twilio, or something in its place, asks otpd to wait: how long it waits, and how it shows this.
@Suite(.database) struct HoldTests {
    let database = TestScope.current?.database

    private static let state = "SELECT state FROM otp.worker_status"

    /// Asked to wait for a day, in seconds or as a date: otpd pauses, tries again within a minute, and resumes.
    @Test(arguments: ["86400", "999999999", "99999999999999999999", "Fri, 31 Dec 2100 23:59:59 GMT"])
    func aLongRetryAfterIsAVisiblePause(retryAfter: String) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"next": [{"fault": "429", "retry_after": "\#(retryAfter)", "count": 1}]}"#)
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("+966501230001")
        try await database.becomes("paused", Self.state)
        try await otpd.says("paused: nothing is sent, jobs wait")
        #expect(
            try await database.text("SELECT reason LIKE '%429%', remedy <> '' FROM otp.worker_status") == "t|t")
        #expect(
            try await database.text(
                """
                SELECT p->>'reason' LIKE '%429%', p->>'remedy' <> ''
                  FROM otp.queue_status, jsonb_array_elements(paused) p
                """) == "t|t")
        // The refused job waits for a minute at most, and its code lives for five. Another session records that.
        try await database.becomes(
            "queued|t|t",
            """
            SELECT j.state, j.due_at - now() <= '76 seconds', d.error LIKE '%429%'
              FROM otp.send_jobs j JOIN otp.delivery_status d ON d.send_job_id = j.id
            """)
        try await database.enqueue("+966501230002")
        // An operator would do the same to end it: fix the cause and ask for a probe.
        otpd.signal(1)
        try await database.becomes(
            "1", within: .seconds(30),
            "SELECT count(*) FROM otp.delivery_status WHERE job_state = 'accepted' AND phone_number LIKE '%02'")
        try await database.becomes("running", Self.state)
        try await otpd.says("resumed: Twilio accepts messages again")
    }

    /// Reads get 429 for ever. Sending goes on, and the later polls are still made.
    @Test func readsThatAreRefusedStopNoSends() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(
            #"""
            {"next": [{"fault": "429", "retry_after": 86400, "on": "list", "count": 100000},
                      {"fault": "429", "retry_after": 86400, "on": "fetch", "count": 3}]}
            """#)
        try await Otpd.run(simulator)
        try await database.enqueueMany(20)
        try await database.becomes(
            "accepted|20", "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        try await database.becomes("running", Self.state)
        try await database.becomes(
            "20", within: .seconds(60), "SELECT count(*) FROM otp.messages WHERE status = 'delivered'")
    }

    /// Everything is refused without a time to wait. That is a pause too, and ends by itself.
    @Test func endlessRefusalsAreAPause() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"429_no_retry_after": 1}}"#)
        try await Otpd.run(simulator)
        try await database.enqueueMany(100)
        try await database.becomes("paused", Self.state)
        let creates = try simulator.stats().creates
        try await stays("few requests are made", for: .seconds(4)) { try simulator.stats().creates <= creates + 2 }
        try simulator.faults(#"{"rates": {}}"#)
        try await database.becomes(
            "accepted|100", within: .seconds(60), "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        try await database.becomes("running", Self.state)
        #expect(try simulator.stats().numbersRepeated == 0)
    }
}
