import TestSupport
import Testing

/// The day's budget: jobs beyond it wait, show the reason, and are sent later without any action.
@Suite(.database) struct BudgetTests {
    let database = TestScope.current?.database

    private static let slow = ["OTPD_MAX_IN_FLIGHT": "4", "OTPD_RATE_PER_SECOND": "20"] as [String: String?]

    @Test func itHoldsWhatIsTooMuchUntilItIsRaised() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        // Ten cents a message, so the budget is twenty messages.
        try await database.text("UPDATE otp.settings SET daily_budget = 2")
        let workers = [try await Otpd.run(simulator, Self.slow), try await Otpd.run(simulator, Self.slow)]
        try await database.enqueueMany(200)
        for worker in workers { try await worker.says("a pause has begun: its jobs wait") }
        try await database.becomes("0", "SELECT count(*) FROM otp.send_jobs WHERE state <> 'queued'")
        let sent = try simulator.stats().created
        // No claim succeeds once the pause exists, so at most the jobs in each worker's hand exceed it. Four requests
        // and a quarter of a second's work are nine each. A whole second's work each allows for endings that were
        // recorded late.
        #expect((20...20 + 2 * (9 + 20)).contains(sent), "\(sent)")
        print("sent \(sent) within a budget for 20, by two workers with 4 requests at a time and 20 a second each")
        let reason = "The budget of 2 USD for today is used up: % USD spent or expected."
        let remedy = "Raise otp.settings.daily_budget, or wait: sending resumes by itself at 00:00 Asia/Riyadh."
        #expect(
            try await database.text(
                """
                SELECT reason LIKE '\(reason)', remedy, next_probe_at IS NULL FROM otp.pause_status WHERE scope = 'budget'
                """) == "t|\(remedy)|t")
        #expect(
            try await database.text(
                "SELECT count(*) FROM otp.queue_status, jsonb_array_elements(paused) p WHERE p->>'scope' = 'budget' AND p->>'reason' LIKE '\(reason)'"
            ) == "1")
        try await database.becomes(
            "paused|t|\(remedy)|2",
            "SELECT state, reason LIKE '\(reason)', remedy, count(*) FROM otp.worker_status GROUP BY 1, 2, 3")
        #expect(try await Otpd.command(["status", "--check"]).code == 69)
        try await stays("nothing is sent", for: .seconds(2)) { try simulator.stats().created == sent }
        // A worker that starts now knows of the pause too, and another budget that is also used up continues it. (The
        // new budget is not near the first, because the prices known by now may be lower than the estimates.)
        try await Otpd.run(simulator)
        try await database.text("UPDATE otp.settings SET daily_budget = 0.01")
        try await stays("nothing is sent", for: .seconds(1)) { try simulator.stats().created == sent }
        #expect(
            try await database.text("SELECT reason LIKE 'The budget of 0.01 USD%' FROM otp.pauses") == "t")
        try await database.text("UPDATE otp.settings SET daily_budget = 1000")
        try await database.becomes("200", within: .seconds(60), "SELECT count(*) FROM otp.messages")
        #expect(try await database.text("SELECT count(*) FROM otp.pauses") == "0")
        #expect(
            try await database.text(
                """
                SELECT (SELECT sum(amount) FROM otp.spend_tally) = sum(coalesce(-m.price, 0.1)) FROM otp.messages m
                """) == "t")
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    @Test func itEndsWithTheDayAndWithItsRemovalAndItsCodesDie() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("UPDATE otp.settings SET daily_budget = 0.1")
        try await Otpd.run(simulator, Self.slow)
        try await database.enqueueMany(1)
        try await database.becomes("budget", "SELECT name FROM otp.pauses")
        // Until the worker reports it, one of its claims may come after the next insert. The pause lets it claim
        // nothing.
        try await database.enqueueMany(1, from: 2)
        try await stays("nothing is sent", for: .seconds(1)) { try simulator.stats().created == 1 }
        try await database.text("UPDATE otp.send_jobs SET expires_at = now()")
        try await database.becomes("expired", "SELECT state FROM otp.unsent_jobs")
        // The spending was yesterday's. The late price of one of its messages does not count today.
        try await database.enqueueMany(1, from: 3)
        try await database.text(
            """
            BEGIN;
            UPDATE otp.spend_tally SET day = day - 1;
            UPDATE otp.messages SET accepted_at = accepted_at - interval '1 day';
            UPDATE otp.pauses SET since = since - interval '1 day';
            COMMIT
            """)
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
        try await database.becomes("budget", "SELECT name FROM otp.pauses")
        try await database.enqueueMany(1, from: 4)
        try await database.text("UPDATE otp.settings SET daily_budget = NULL")
        try await database.becomes("3|", "SELECT count(*), (SELECT name FROM otp.pauses) FROM otp.messages")
    }

    /// The poller records the price, which replaces the estimate.
    @Test func pricesReplaceEstimates() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text(
            """
            UPDATE otp.countries SET price_estimate = 5;
            UPDATE otp.settings SET daily_budget = 1000
            """)
        try await Otpd.run(simulator)
        try await database.enqueueMany(3)
        try await database.becomes("3", within: .seconds(60), "SELECT count(price) FROM otp.messages")
        #expect(
            try await database.text(
                "SELECT (SELECT sum(amount) FROM otp.spend_tally) = (SELECT -sum(price) FROM otp.messages)") == "t")
    }
}
