import TestSupport
import Testing

/// The effect on a job when Twilio refuses, fails or is unreachable.
@Suite(.database) struct TwilioAnswerTests {
    let database = TestScope.current?.database

    @Test func aRefusalEndsTheJobWithItsCodeInWords() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        let codes = [21211, 21608, 21610, 21614]
        for code in codes { try await database.enqueue("+9665900\(code)") }
        try await database.becomes(
            codes.map { "failed||1|\($0)|t|t" }.joined(separator: "\n"),
            """
            SELECT d.job_state, d.message_status, d.attempts, d.error_code, d.error = c.explanation, d.remedy = c.remedy
              FROM otp.delivery_status d JOIN otp.error_classes c ON c.code = d.error_code ORDER BY d.error_code
            """)
        #expect(try simulator.stats().refused == codes.count)
        #expect(try simulator.inbox().isEmpty)
        #expect(try await database.text("SELECT count(*) FROM otp.send_jobs") == "0")
    }

    @Test(arguments: ["classic", "problem"])
    func bothErrorBodiesAreRead(format: String) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"error_format": "\#(format)"}"#)
        try await Otpd.run(simulator)
        try await database.enqueue("+966590021211")
        try await database.becomes("failed|21211", "SELECT job_state, error_code FROM otp.delivery_status")
    }

    /// 429 means not processed. The job is retried, after Retry-After if Twilio gave one.
    @Test(arguments: [("+966590200429", 1.0), ("+966590200430", 0.0)])
    func tooManyRequestsIsTriedAgain(number: String, atLeast: Double) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue(number)
        try await database.becomes(
            "accepted|2||", "SELECT job_state, attempts, error_code, error FROM otp.delivery_status")
        #expect(
            try await database.text(
                "SELECT extract(epoch FROM accepted_at - requested_at) >= \(atLeast) FROM otp.delivery_status") == "t")
        #expect(try simulator.inbox().map(\.to) == [number])
        #expect(try simulator.stats().creates == 2)
    }

    /// otpd learns Twilio's limit and hardly exceeds it. No job is lost, and few are refused. `deploy/bench/run
    /// throttle` measures how much of the limit is used.
    @Test func aLimitOfTwiliosIsLearned() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"max_concurrent": 20, "max_per_second": 50}"#)
        try await Otpd.run(simulator)
        try await database.enqueueMany(400)
        try await database.becomes(
            "accepted|400", within: .seconds(60), "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        let stats = try simulator.stats()
        #expect(stats.created == 400)
        // Sent as fast as its slots allow, each would be refused several times.
        #expect(stats.creates - stats.created < 100, "of 400")
        try await database.becomes(
            "t", "SELECT twilio_state LIKE 'throttled: at most % requests at a time, % a second' FROM otp.worker_status"
        )
    }

    /// It is unknown whether Twilio has it. It is looked up, never sent again without that, and failed once the code
    /// has expired.
    @Test func anUnclearOutcomeIsNotSentAgainBlindly() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        // A connection that has been used, on which libcurl would repeat a POST by itself if allowed.
        try await database.enqueue("0501234567", subject: "first")
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")

        let unseen = ["+966590200500", "+966590200503", "+966590200001"]
        let seen = ["+966590200002", "+966590200003", "+966590200004", "+966590200006"]
        for number in unseen + seen { try await database.enqueue(number) }
        // Messages at Twilio are found in its list. The others stay unknown until the grace has ended.
        try await database.becomes(
            "accepted|4|4|0\nunknown|3|3|3", within: .seconds(40),
            """
            SELECT job_state, count(*), count(*) FILTER (WHERE attempts = 1),
                   count(*) FILTER (WHERE error LIKE '%: it may have been sent.')
              FROM otp.delivery_status WHERE subject <> 'first' GROUP BY 1 ORDER BY 1
            """)
        #expect(try await database.text("SELECT unknown FROM otp.queue_status") == "3")
        // Their codes expire, so the user must ask again.
        try await database.text("UPDATE otp.send_jobs SET expires_at = now(), lease_expires_at = now()")
        try await database.becomes(
            "failed|3|3|t", within: .seconds(30),
            """
            SELECT job_state, count(*), count(*) FILTER (WHERE error LIKE 'Outcome unknown%' AND remedy <> ''),
                   bool_and(attempts = 1)
              FROM otp.delivery_status WHERE job_state <> 'accepted' GROUP BY 1
            """)
        let stats = try simulator.stats()
        #expect(stats.creates == 8)
        #expect(stats.numbersRepeated == 0)
        #expect(Set(try simulator.inbox().map(\.to)) == Set(seen + ["+966501234567"]))
    }

    @Test func aSlowAnswerIsWaitedFor() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue("+966590200005")
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.stats().creates == 1)
    }

    /// A refused connection sent nothing. It is retried until the server listens.
    @Test func aConnectionThatIsRefusedIsTriedAgain() async throws {
        let database = try #require(database)
        let port = try Loopback.freePort()
        try await Otpd.run(at: "http://127.0.0.1:\(port)")
        try await database.enqueue("0501234567")
        try await database.becomes(
            "queued|t|No connection to Twilio could be made.",
            "SELECT job_state, attempts >= 1, error FROM otp.delivery_status")
        let simulator = try await Simulator.start(port: port)
        try await database.becomes("accepted", within: .seconds(25), "SELECT job_state FROM otp.delivery_status")
        #expect(try simulator.inbox().count == 1)
        #expect(try simulator.stats().creates == 1)
    }

    @Test func aDeliveryFailureIsShownInWords() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue("+966590130003")
        try await database.enqueue("+966590100000")
        try await database.becomes(
            "accepted|undelivered|30003|t\naccepted|sent||f", within: .seconds(20),
            """
            SELECT job_state, message_status, error_code,
                   coalesce(error <> '' AND remedy <> '', false) AND final_at IS NOT NULL
              FROM otp.delivery_status ORDER BY send_job_id
            """)
    }
}
