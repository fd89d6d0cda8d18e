import Glibc
import TestSupport
import Testing

/// Which jobs a worker takes, which it leaves, and how fast it sends.
@Suite(.database) struct QueueRuleTests {
    let database = TestScope.current?.database

    /// Everything that a worker does, with only the rights of `otp_worker`.
    @Test func aMemberOfOtpWorkerMayDoItAll() async throws {
        let database = try #require(database)
        let role = "\(database.name)_worker"
        try await database.text("CREATE ROLE \(role) LOGIN PASSWORD 'worker' IN ROLE otp_worker")
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator, ["PGUSER": role, "PGPASSWORD": "worker"])
        try await database.enqueue("0501234567")
        try await database.enqueue("+966590021211")
        try await database.enqueue("+966590200430")
        try await database.enqueue("+966590200500")
        try await database.becomes(
            "accepted|delivered\nfailed|\naccepted|delivered\nunknown|", within: .seconds(25),
            "SELECT job_state, message_status FROM otp.delivery_status ORDER BY send_job_id")
        try await database.text("UPDATE otp.send_jobs SET lease_expires_at = now(), expires_at = now()")
        try await database.becomes(
            "failed", within: .seconds(30),
            "SELECT job_state FROM otp.delivery_status WHERE error LIKE 'Outcome unknown%'")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(try await database.text("SELECT state FROM otp.worker_status") == "stopped")
        #expect(!otpd.errors.contains("permission denied"), "\(otpd.errors)")
        try await database.text("DROP OWNED BY \(role); DROP ROLE \(role)")
    }

    @Test func aCodeThatDiedInTheQueueIsNotSent() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.enqueue("0501234567", subject: "died")
        try await database.text("UPDATE otp.send_jobs SET expires_at = now()")
        try await database.enqueue("0501234568", subject: "lives")
        try await Otpd.run(simulator)
        try await database.becomes(
            "died|expired|0|t\nlives|accepted|1|", within: .seconds(25),
            """
            SELECT subject, job_state, attempts, error LIKE '%expired%' AND remedy <> ''
              FROM otp.delivery_status ORDER BY 1
            """
        )
        #expect(try simulator.inbox().map(\.to) == ["+966501234568"])
    }

    @Test func whatIsCanceledOrUsedIsNotSent() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.enqueue("0501234567", subject: "canceled")
        try await database.enqueue("0501234568", subject: "used", code: "123456")
        #expect(
            try await database.text("SELECT otp.cancel(id, subject) FROM otp.verifications WHERE subject = 'canceled'")
                == "t")
        #expect(try await database.text("SELECT otp.verify('used', '123456')") == "t")
        try await database.enqueue("0501234569", subject: "other")
        try await Otpd.run(simulator)
        try await database.becomes(
            "canceled|canceled\nother|accepted\nused|canceled",
            "SELECT subject, job_state FROM otp.delivery_status ORDER BY 1")
        #expect(try simulator.inbox().map(\.to) == ["+966501234569"])
    }

    /// "Call me instead" helps exactly while text messages do not go.
    @Test func aHeldSendDoesNotHoldUpAnotherChannel() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text(
            """
            INSERT INTO otp.channel_senders (channel, sender) VALUES ('call', '+12015550100');
            INSERT INTO otp.pauses (scope, key, reason, remedy, next_probe_at, created_by)
            VALUES ('channel', 'sms', 'a test', 'none', clock_timestamp() + interval '1 hour', 'a test');
            SELECT otp.request('a', '0501234567')
            """)
        try await Otpd.run(simulator)
        try await database.becomes("pause", "SELECT hold_kind FROM otp.send_jobs")
        try await database.text("SELECT otp.request('a', '0501234567', channel => 'call')")
        try await database.becomes("call", "SELECT channel FROM otp.messages")
        #expect(try await database.text("SELECT channel, state FROM otp.send_jobs") == "sms|queued")
    }

    /// Two sends of one verification have the same text. So they go one at a time, or evidence could not tell them
    /// apart.
    @Test func sendsOfOneVerificationTakeTurns() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 700}"#)
        try await Otpd.run(simulator)
        for _ in 1...3 { try await database.text("SELECT otp.request('a', '0501234567')") }
        _ = try await eventually("three messages") {
            #expect(try simulator.stats().concurrent <= 1)
            return try await database.text("SELECT count(*) FROM otp.messages") == "3" ? true : nil
        }
        let inbox = try simulator.inbox()
        #expect(inbox.count == 3)
        #expect(Set(inbox.map(\.code)).count == 1)
        #expect(try await database.text("SELECT count(*) FROM otp.verifications") == "1")
    }

    @Test func theRateAndTheConcurrencyAreKept() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 300}"#)
        try await database.enqueueMany(60)
        try await Otpd.run(simulator, ["OTPD_RATE_PER_SECOND": "20", "OTPD_MAX_IN_FLIGHT": "4"])
        _ = try await eventually("the first second's") { try simulator.stats().created >= 8 ? true : nil }
        #expect(try simulator.stats().maxConcurrent <= 4)
        try simulator.faults(#"{"rates": {}}"#)
        try await database.becomes("60", "SELECT count(*) FROM otp.messages")
        let times = try simulator.inbox().map(\.receivedAt).sorted()
        // In no second more was sent than the rate and a bucket's content.
        let most = times.map { start in times.count { $0 >= start && $0 < start + 1_000_000 } }.max() ?? 0
        #expect(most <= 42)
        #expect((times.last ?? 0) - (times.first ?? 0) >= 1_500_000)
    }
}
