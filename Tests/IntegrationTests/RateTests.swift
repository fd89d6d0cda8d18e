import Glibc
import TestSupport
import Testing

/// Rates that all workers share, measured where the messages arrive: by the simulator's own timestamps.
@Suite(.database) struct RateTests {
    let database = TestScope.current?.database

    /// Microseconds since the Unix epoch, by the clock that the simulator reads.
    private func microseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1_000_000 + time.tv_nsec / 1000
    }

    /// The rate is a guarantee. Of the arrivals after `begin`, when all buckets were full, the n-th never comes before
    /// its token. Delays of messages cannot break it.
    private func holds(_ perSecond: Double, burst: Double, since begin: Int, _ arrivals: [Int]) {
        for (index, arrival) in arrivals.sorted().enumerated() {
            let most = perSecond * Double(arrival - begin) / 1e6 + burst
            #expect(Double(index + 1) <= most, "message \(index + 1) after \(arrival - begin) µs")
        }
    }

    @Test func twoWorkersShareATotalAndOneTakesItOver() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let first = try await Otpd.run(simulator)
        try await Otpd.run(simulator)
        // While they run.
        try await database.text("UPDATE otp.settings SET sends_per_second = 40")
        let share = "limited by otp.settings.sends_per_second: %s of 40 a second are this worker's"
        func words(_ part: Int) -> String { share.replacing("%s", with: "\(part)") }
        try await database.becomes(
            "2",
            "SELECT count(*) FROM otp.worker_status WHERE twilio_state LIKE '%\(words(20).replacing("'", with: "''"))'")
        let begin = microseconds()
        try await database.enqueueMany(1600, life: "10 minutes")
        let burst = 2.0 * 2
        _ = try await eventually("240 messages") { try simulator.stats().created >= 240 ? true : nil }
        try await database.becomes(
            "2", "SELECT count(*) FROM (SELECT FROM otp.messages GROUP BY worker HAVING count(*) >= 20) w")
        first.end()
        // With half the rate, the survivor alone would send 100 in five seconds, and two of burst. The whole rate is
        // 200.
        _ = try await eventually("the survivor sends at the whole rate", within: .seconds(60)) {
            let arrivals = try simulator.inbox().map(\.receivedAt).sorted()
            return arrivals.indices.dropFirst(140).contains { arrivals[$0] - arrivals[$0 - 140] < 5_000_000 }
                && arrivals.last.map { $0 - begin > 20_000_000 } == true
                ? true : nil
        }
        try await database.becomes(
            "1",
            "SELECT count(*) FROM otp.worker_status WHERE twilio_state LIKE '%\(words(40).replacing("'", with: "''"))'")
        holds(40, burst: burst, since: begin, try simulator.inbox().map(\.receivedAt))
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    @Test func aSlowSendersBacklogDelaysNobodyElse() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text(
            """
            DELETE FROM otp.limits;
            INSERT INTO otp.countries (region, sender) VALUES ('EG', 'Slow');
            INSERT INTO otp.sender_rates VALUES ('Slow', 2)
            """)
        try await Otpd.run(simulator)
        try await database.becomes(
            "1",
            "SELECT count(*) FROM otp.worker_status WHERE twilio_state LIKE '%by otp.sender_rates: Slow 2 of 2 a second'"
        )
        let begin = microseconds()
        // In one transaction: on a busy machine, a hundred would take longer than some of the slow ones.
        try await database.text(
            """
            WITH v AS (
                INSERT INTO otp.verifications (subject, phone_number, expires_at)
                SELECT 'rate ' || n, CASE WHEN n < 180 THEN '+201001234' || n ELSE '+966501234' || n END,
                    now() + interval '5 minutes'
                  FROM generate_series(100, 199) n
                RETURNING id)
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v ORDER BY id
            """)
        try await database.becomes(
            "20",
            "SELECT count(*) FROM otp.messages m JOIN otp.verifications v ON v.id = m.verification_id WHERE v.country = 'SA'"
        )
        // A waiting job shows the reason, has not failed, and has its own due time.
        try await database.becomes(
            "t|t|t",
            """
            SELECT count(*) FILTER (WHERE last_error LIKE 'The job waits for its turn%' AND hold_kind = 'rate' AND hold_key = 'Slow') > 40,
                   max(returned) <= 3,
                   max(due_at) - now() > interval '15 seconds'
              FROM otp.send_jobs
            """)
        _ = try await eventually("20 of the slow ones") {
            try simulator.inbox().filter { $0.from == "Slow" }.count >= 20 ? true : nil
        }
        let inbox = try simulator.inbox()
        let slow = inbox.filter { $0.from == "Slow" }.map(\.receivedAt).sorted()
        let others = inbox.filter { $0.from != "Slow" }.map(\.receivedAt).sorted()
        holds(2, burst: 1, since: begin, slow)
        let last = try #require(others.last)
        #expect(slow.count { $0 < last } < 40, "behind the slow ones, they would come after 80 of these")
        #expect(try await database.text("SELECT max(attempt) <= 4 FROM otp.messages") == "t")
        #expect(try await database.text("SELECT count(*) FROM otp.unsent_jobs") == "0")
        // A higher rate applies to them at once; without a rate they are sent.
        try await database.text("UPDATE otp.sender_rates SET sends_per_second = 40")
        _ = try await eventually("50 of the slow ones") {
            try simulator.inbox().filter { $0.from == "Slow" }.count >= 50 ? true : nil
        }
        try await database.text("DELETE FROM otp.sender_rates")
        try await database.becomes("100", "SELECT count(*) FROM otp.messages")
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    @Test func whatWaitsForItsTurnDiesWithItsCode() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text(
            """
            DELETE FROM otp.limits;
            INSERT INTO otp.countries (region, sender) VALUES ('EG', 'Slow');
            INSERT INTO otp.sender_rates VALUES ('Slow', 0.005)
            """)
        try await Otpd.run(simulator)
        for index in 100..<103 { try await database.enqueue("+201001234\(index)", life: "2 minutes") }
        try await database.becomes(
            "2",
            "SELECT count(*) FROM otp.send_jobs WHERE state = 'queued' AND hold_kind = 'rate' AND hold_key = 'Slow' AND due_at = expires_at"
        )
        try await database.becomes("1", "SELECT count(*) FROM otp.messages")
        #expect(try simulator.stats().created == 1)
        try await database.text("UPDATE otp.send_jobs SET expires_at = now()")
        try await database.becomes("expired|2", "SELECT state, count(*) FROM otp.unsent_jobs GROUP BY 1")
        #expect(
            try await database.text(
                "SELECT bool_and(error LIKE '%The job waits for its turn%') FROM otp.unsent_jobs") == "t"
        )
    }

    /// If all messages have one sender, its rate limits the claims, so no job is released.
    @Test func oneSendersRateLeavesTheRestInTheQueue() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("INSERT INTO otp.sender_rates VALUES ('+15005550006', 20)")
        try await Otpd.run(simulator)
        let begin = microseconds()
        try await database.enqueueMany(100)
        try await database.becomes("100|1", "SELECT count(*), max(attempt) FROM otp.messages")
        holds(20, burst: 2, since: begin, try simulator.inbox().map(\.receivedAt))
    }

    /// Not a 429, but a refusal with the class `throttle`.
    @Test func aRefusalOfClassThrottleThrottles() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue("+966501234001")
        try await database.becomes("1", "SELECT count(*) FROM otp.messages")
        try simulator.faults(#"{"next": [{"fault": "refuse", "code": 63038, "count": 1}]}"#)
        try await database.enqueue("+966501234002")
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
        try await database.becomes(
            "t", "SELECT twilio_state LIKE 'throttled: at most % requests at a time%' FROM otp.worker_status")
    }
}
