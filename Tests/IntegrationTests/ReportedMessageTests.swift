import TestSupport
import Testing

/// A backend that receives Twilio's callbacks itself reports them. Only statuses that Twilio confirms count.
@Suite(.database) struct ReportedMessageTests {
    let database = TestScope.current?.database

    /// A session of a login role with only the rights of `otp_web`.
    private func backend(_ database: TestDatabase) async throws -> TestDatabase.Session {
        let role = "web_\(database.name)"
        try await database.text("CREATE ROLE \"\(role)\" LOGIN IN ROLE otp_web")
        let session = try await database.connect()
        try await session.text("SET SESSION AUTHORIZATION \"\(role)\"")
        return session
    }

    private func end(_ session: TestDatabase.Session, _ database: TestDatabase) async throws {
        await session.close()
        try await database.text(
            "UPDATE otp.verifications SET created_by = 'postgres'::regrole; DROP ROLE \"web_\(database.name)\"")
    }

    /// The 201 is lost and Twilio's list does not show the message. The report leads to it, and Twilio confirms it.
    @Test func aLostAnswerIsSettledByAReportThatTwilioConfirms() async throws {
        let database = try #require(database)
        let backend = try await backend(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"list_lag_ms": 3600000, "next": [{"fault": "create_then_close"}]}"#)
        try await Otpd.run(simulator)
        try await backend.text("SELECT otp.request('user', '0501234567')")
        try await database.becomes("unknown", "SELECT state FROM otp.send_jobs")
        let sid = try #require(try simulator.inbox().first?.sid)
        let job = try await database.text("SELECT id FROM otp.send_jobs")
        // Other SIDs first, which Twilio does not know.
        for number in 1...2 {
            let invented = "SM" + String(repeating: "\(number)", count: 32)
            #expect(
                try await backend.text("SELECT otp.record_status('\(invented)', 'delivered', NULL, '\(job).1')") == "t")
        }
        #expect(try await backend.text("SELECT otp.record_status('\(sid)', 'sent', NULL, '\(job).1')") == "t")
        try await database.becomes(
            "accepted|\(sid)|1", "SELECT job_state, message_sid, attempts FROM otp.delivery_status")
        #expect(try await database.text("SELECT count(*) FROM otp.messages") == "1")
        #expect(try simulator.stats().creates == 1)
        try await end(backend, database)
    }

    /// An existing message with another code is not evidence for this one.
    @Test func aMessageOfAnotherCodeIsDenied() async throws {
        let database = try #require(database)
        let backend = try await backend(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        try await backend.text("SELECT otp.request('first', '0501234567')")
        try await database.becomes("1", "SELECT count(*) FROM otp.messages")
        let sid = try #require(try simulator.inbox().first?.sid)
        // As if it had never been recorded: the SID exists at Twilio, but not in this database.
        try await database.text("DELETE FROM otp.messages")
        try simulator.faults(#"{"list_lag_ms": 3600000, "next": [{"fault": "read_then_close"}]}"#)
        try await backend.text("SELECT otp.request('second', '0501234568')")
        try await database.becomes("unknown", "SELECT state FROM otp.send_jobs")
        let job = try await database.text("SELECT id FROM otp.send_jobs")
        #expect(try await backend.text("SELECT otp.record_status('\(sid)', 'delivered', NULL, '\(job).1')") == "t")
        try await otpd.says("a backend reported a message that Twilio does not have for that send job")
        #expect(
            try await database.text("SELECT state, (SELECT count(*) FROM otp.messages) FROM otp.send_jobs")
                == "unknown|0")
        #expect(try await database.text("SELECT due_at IS NULL FROM otp.status_reports") == "t")
        try await end(backend, database)
    }

    /// A reported end of a known message makes otpd ask Twilio at once. Twilio's own answer is recorded, whatever was
    /// reported.
    @Test func aReportedEndIsAskedForAtOnce() async throws {
        let database = try #require(database)
        let backend = try await backend(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await backend.text("SELECT otp.request('user', '0501234567')")
        try await database.becomes("1", "SELECT count(*) FROM otp.messages")
        try await database.text(
            "UPDATE otp.messages SET next_poll_at = now() + interval '1 day', final_at = NULL, status = 'sent'")
        let sid = try await database.text("SELECT message_sid FROM otp.messages")
        #expect(try await backend.text("SELECT otp.record_status('\(sid)', 'undelivered', 30450)") == "t")
        try await database.becomes(
            "delivered||0", "SELECT status, error_code, (SELECT count(*) FROM otp.pauses) FROM otp.messages")
        try await end(backend, database)
    }

    /// The sequence is behind the history. The message is sent, and its record is kept beside the earlier job's.
    @Test func aJobWhoseIDTheHistoryHasIsRecordedBesideIt() async throws {
        let database = try #require(database)
        try await database.text(
            """
            INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status)
            SELECT 'SM' || lpad(n::text, 32, '0'), n, 1000000 + n, 1, true, now() - interval '1 day', 'delivered'
              FROM generate_series(1, 2) n;
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at)
            VALUES (3, 1000003, 'failed', 1, now() - interval '1 day')
            """)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        // The worker advanced the sequence before it took its number. Then a restore sets the sequence back.
        try await database.becomes("1", "SELECT count(*) FROM otp.worker_status")
        try await database.text("SELECT setval('otp.send_jobs_id_seq', 1, false)")
        for number in 1...2 { try await database.enqueue("050123456\(number)", subject: "user \(number)") }
        try await database.becomes(
            "0|4", "SELECT (SELECT count(*) FROM otp.send_jobs), (SELECT count(*) FROM otp.messages)")
        try await otpd.says("their results are kept beside the earlier ones")
        try await otpd.says("setval('otp.send_jobs_id_seq'")
        try simulator.faults(#"{"next": [{"fault": "refuse", "code": 21211}]}"#)
        try await database.enqueue("0501234563", subject: "user 3")
        try await database.becomes(
            "0|2", "SELECT (SELECT count(*) FROM otp.send_jobs), (SELECT count(*) FROM otp.unsent_jobs)")
        #expect(
            try await database.text(
                "SELECT subject, job_state FROM otp.delivery_status WHERE subject IS NOT NULL ORDER BY 1")
                == "user 1|accepted\nuser 2|accepted\nuser 3|failed")
        #expect(try await database.text("SELECT messages FROM otp.sent_twice") == "0")
        #expect(!otpd.errors.contains("got the same code twice"))
    }
}
