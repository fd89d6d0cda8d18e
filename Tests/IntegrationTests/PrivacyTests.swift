import TestSupport
import Testing

/// Test numbers and forgotten people, with the real daemon.
@Suite(.database) struct PrivacyTests {
    let database = TestScope.current?.database

    /// The code of the person beside it arrives, so the worker has had its turn.
    @Test func nothingIsSentToATestNumber() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.text(
            "SELECT otp.add_test_number('+15555550100', '482913', now() + interval '30 days')")
        try await database.text("SELECT otp.request('reviewer', '+1 555 555 0100')")
        try await database.enqueue("0501234567", subject: "person")
        try await database.becomes(
            "person|accepted\nreviewer|test", "SELECT subject, job_state FROM otp.delivery_status ORDER BY subject")
        #expect(try simulator.inbox().map(\.to) == ["+966501234567"])
        #expect(try await database.text("SELECT otp.verify('reviewer', '482913')") == "t")
    }

    /// A number that becomes a test number after a job for it was queued: the claim ends the job.
    @Test func aQueuedJobOfALaterTestNumberIsNotSent() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.enqueue("0501234567", subject: "early")
        // As if the row had been committed after the insert's snapshot: the live code is not ended here.
        try await database.text(
            """
            INSERT INTO otp.test_numbers (e164, country, code_hash, key_id, is_real, expires_at)
            VALUES ('+966501234567', 'SA', '', '', true, now() + interval '1 day')
            """)
        try await Otpd.run(simulator)
        try await database.becomes(
            "canceled|Its phone number became a test number before the code was sent.",
            "SELECT job_state, error FROM otp.delivery_status")
        #expect(try simulator.inbox().isEmpty)
    }

    @Test func theTextOfAForgottenPersonIsEmptied() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567", subject: "person")
        try await database.becomes("delivered", within: .seconds(40), "SELECT status FROM otp.messages")
        #expect(try simulator.inbox().map(\.code.count) == [6])
        try await database.text("SELECT otp.forget('person', redact_at_twilio => true)")
        #expect(try await database.text("SELECT count(*) FROM otp.pending_redactions") == "1")
        try await database.becomes("0", within: .seconds(90), "SELECT count(*) FROM otp.pending_redactions")
        #expect(try simulator.inbox().map(\.body) == [""])
        #expect(
            try await database.text(
                "SELECT (SELECT count(*) FROM otp.verifications), (SELECT count(*) FROM otp.messages)") == "0|0")
    }
}
