import TestSupport
import Testing

/// The effects of receipts, with the real daemon: one resend, a pause, the bill, an emptied text.
@Suite(.database) struct ReceiptTests {
    let database = TestScope.current?.database

    /// Accepted, and undelivered with 30003.
    private static let unreachable = "+966590130003"

    private func run(_ simulator: Simulator, receiving: Bool) async throws {
        if receiving { try await Otpd.runReceiving(simulator) } else { try await Otpd.run(simulator) }
    }

    // MARK: One resend

    /// Polled, and also reported by callbacks, each twice and in any order.
    @Test(arguments: [false, true]) func anUndeliveredCodeIsSentAgainOnce(receiving: Bool) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"callbacks": {"duplicated": 1, "reversed": 0.5}}"#)
        try await database.text(
            """
            UPDATE otp.countries SET receipts_reliable = true;
            UPDATE otp.error_class_defaults SET resend_after = '1 second' WHERE class = 'one_resend'
            """)
        try await run(simulator, receiving: receiving)
        let job = try await database.enqueue(Self.unreachable, code: "481516")
        try await database.becomes(
            """
            accepted|undelivered||The same code is sent again as send job
            accepted|undelivered|\(job)|Not sent again: it was already a resend.
            """, within: .seconds(60),
            """
            SELECT job_state, message_status, follows, regexp_replace(follow_up, ' [0-9]+[.]$', '')
              FROM otp.delivery_status ORDER BY send_job_id
            """)
        let messages = try simulator.inbox(to: Self.unreachable)
        #expect(messages.map(\.code) == ["481516", "481516"])
        #expect(Set(messages.map(\.body)).count == 1)
        #expect(
            try await database.text(
                """
                SELECT (SELECT count(*) FROM otp.send_jobs), (SELECT max(cardinality(sent_at)) FROM otp.send_counts),
                       (SELECT sum(messages) FROM otp.spend_daily)
                """) == "0|2|2")
    }

    @Test func receiptsOfSaudiArabiaResendNothing() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text(
            "UPDATE otp.error_class_defaults SET resend_after = '0' WHERE class = 'one_resend'")
        try await run(simulator, receiving: true)
        try await database.enqueue(Self.unreachable)
        try await database.becomes(
            "undelivered|Not sent again: receipts from SA are not reliable (otp.countries.receipts_reliable).",
            "SELECT message_status, follow_up FROM otp.delivery_status")
        try await database.enqueue("0501234567")
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
        #expect(try simulator.inbox(to: Self.unreachable).count == 1)
    }

    // MARK: A pause

    /// From then on the number's block is held, and its other numbers wait for a probe.
    @Test func aFraudReceiptHoldsItsBlock() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.runReceiving(simulator)
        try await database.enqueue("+966590130450")
        try await database.becomes("prefix +96659013", "SELECT name FROM otp.pauses")
        // No probe during these checks.
        try await database.text("UPDATE otp.pauses SET next_probe_at = now() + interval '1 hour'")
        try await otpd.says("a pause has begun: its jobs wait")
        try await database.enqueue("+966590139999", subject: "same block")
        try await database.enqueue("0501234567", subject: "another")
        try await database.becomes(
            "another|accepted\nsame block|queued",
            "SELECT subject, job_state FROM otp.delivery_status WHERE error_code IS DISTINCT FROM 30450 ORDER BY 1")
        try await database.becomes("prefix +96659013", "SELECT hold_key FROM otp.send_jobs")
    }

    // MARK: The bill

    /// Final long before its first poll. Then one poll is enough.
    @Test func whatACallbackMakesFinalStillGetsItsPrice() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await run(simulator, receiving: true)
        try await database.enqueue("0501234567")
        try await database.becomes(
            "delivered|t|", "SELECT status, final_at < accepted_at + interval '2 s', price FROM otp.messages")
        try await database.becomes(
            "delivered|1|-0.00750|USD|4|", within: .seconds(60),
            "SELECT status, segments, price, price_unit, polls, next_poll_at FROM otp.messages")
    }

    // MARK: Texts at Twilio

    /// As if a code had expired.
    private func expire(_ database: TestDatabase) async throws {
        try await database.text(
            """
            ALTER TABLE otp.verifications DISABLE TRIGGER before_update;
            UPDATE otp.verifications SET expires_at = clock_timestamp();
            ALTER TABLE otp.verifications ENABLE TRIGGER before_update;
            UPDATE otp.messages SET next_poll_at = clock_timestamp() WHERE next_poll_at IS NOT NULL
            """)
    }

    @Test func aSettledTextIsEmptiedOnceItsCodeIsDead() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("UPDATE otp.settings SET redact_bodies = true")
        try await run(simulator, receiving: false)
        try await database.enqueue("0501234567")
        try await database.becomes(
            "delivered|-0.00750|t||0", within: .seconds(40),
            """
            SELECT m.status, m.price, m.next_poll_at = v.expires_at, m.redacted_at, m.redactions
              FROM otp.messages m JOIN otp.verifications v ON v.id = m.verification_id
            """)
        #expect(try simulator.inbox().map(\.code.count) == [6])
        try await expire(database)
        // If the first request is refused, it is tried again.
        try await database.becomes(
            "t|1|", within: .seconds(90), "SELECT redacted_at > final_at, redactions, next_poll_at FROM otp.messages")
        #expect(try simulator.inbox().map(\.body) == [""])
    }

    /// No text is emptied without the setting. If Twilio refuses to empty one, that is reported.
    @Test func aTextThatTwilioKeeps() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes(
            "delivered|", within: .seconds(40), "SELECT status, next_poll_at FROM otp.messages WHERE price IS NOT NULL")
        try simulator.faults(#"{"next": [{"fault": "500", "on": "any", "count": 1000000}]}"#)
        try await database.text(
            """
            UPDATE otp.settings SET redact_bodies = true;
            UPDATE otp.messages SET redactions = 11, next_poll_at = now()
            """)
        try await expire(database)
        try await database.becomes(
            "12||", within: .seconds(90), "SELECT redactions, redacted_at, next_poll_at FROM otp.messages")
        try await otpd.says("Twilio still has the texts of messages; redaction is not tried again")
        #expect(
            try await database.text("SELECT follow_up FROM otp.delivery_status")
                == "Its text is still at Twilio: deleting it failed.")
        #expect(try simulator.inbox().map(\.code.count) == [6])
    }
}
