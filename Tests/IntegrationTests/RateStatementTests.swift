import EventLoop
import OTP
import Postgres
import Queue
import Testing

/// The statements behind rates and budget, at moments that are rare for a whole worker.
@Suite(.database) struct RateStatementTests {
    let database = TestScope.current?.database

    private var soon: Instant { .now() + .seconds(120) }

    private func claim(_ session: TestDatabase.Session) async throws -> [ClaimedJob] {
        try await Claim.run(
            on: session.connection, limit: 10, quarantined: true, channels: [.sms], worker: 1, keys: .tests,
            lease: .seconds(30),
            deadline: soon
        ).jobs
    }

    private func end(_ job: ClaimedJob, _ outcome: UnsentOutcome, rate: Double = 0, errorClass: String? = nil)
        -> UnsentEnd
    {
        UnsentEnd(
            job: job.id, attempt: job.attempt, outcome, delay: .seconds(30), error: "e", errorClass: errorClass,
            holdKey: outcome == .deferred ? "Slow" : nil, rate: rate)
    }

    @Test func aPauseOfEverythingStopsClaimsFromItsCommitOn() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await database.enqueue("+966501231001")
        for scope in ["all", "budget"] {
            try await database.text("INSERT INTO otp.pauses (scope, reason) VALUES ('\(scope)', 'x')")
            #expect(try await claim(session).isEmpty)
            try await database.text("DELETE FROM otp.pauses")
        }
        try await database.text("INSERT INTO otp.pauses (scope, key, reason) VALUES ('country', 'JO', 'x')")
        #expect(try await claim(session).count == 1)
        await session.close()
    }

    /// Deferred by the current rate, for its time but not past the code's expiry. With another rate, it is due again
    /// soon.
    @Test func aJobIsDeferredByTheRateThatIsThere() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await database.text("INSERT INTO otp.sender_rates VALUES ('Slow', 0.3)")
        for index in 1...3 { try await database.enqueue("+96650123100\(index)") }
        let jobs = try await claim(session).sorted { $0.id < $1.id }
        try await database.text(
            "UPDATE otp.send_jobs SET expires_at = now() + interval '10 seconds' WHERE id = \(jobs[2].id)")
        var ends = FinishUnsent()
        ends.append(end(jobs[0], .deferred, rate: 0.3))
        ends.append(end(jobs[1], .deferred, rate: 0.2))
        ends.append(end(jobs[2], .deferred, rate: 0.3))
        try await ends.run(on: session.connection, worker: 1, deadline: soon)
        #expect(
            try await database.text(
                """
                SELECT hold_kind || ' ' || hold_key, due_at = expires_at,
                       due_at > now() + interval '20 seconds' AS far, due_at <= now() + interval '1 second' AS soon
                  FROM otp.send_jobs ORDER BY id
                """) == "rate Slow|f|t|f\n|f|f|t\nrate Slow|t|f|f")
        await session.close()
    }

    /// An attempt that was released unsent does not count as a try, neither for the backoff nor for `one_resend`.
    @Test func whatWasGivenBackUntriedIsNoTry() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await database.text("INSERT INTO otp.sender_rates VALUES ('Slow', 1)")
        try await database.enqueue("+966501231001")
        var tries: [Int32] = []
        for outcome in [UnsentOutcome.deferred, .release, .hold, .retry, .hold] {
            let job = try #require(try await claim(session).first)
            tries.append(job.tries)
            #expect(Int(job.attempt) == tries.count)
            var ends = FinishUnsent()
            // The last is held because Twilio refused it.
            ends.append(end(job, outcome, rate: 1, errorClass: tries.count == 5 ? "pause_country" : nil))
            try await ends.run(on: session.connection, worker: 1, deadline: soon)
            try await database.text("UPDATE otp.send_jobs SET due_at = now()")
        }
        #expect(tries == [1, 1, 1, 1, 2])
        let last = try #require(try await claim(session).first)
        #expect(last.tries == 3 && last.attempt == 6)
        let lost = try await FindLost.run(on: session.connection, worker: 1, inHand: [], deadline: soon)
        #expect(lost.map(\.id) == [last.id] && lost.map(\.leaseEnd) == [last.leaseEnd])
        var ends = FinishUnsent()
        // A claim that the database has forgotten had the same number, but another lease.
        ends.append(UnsentEnd(job: last.id, attempt: last.attempt, lease: last.leaseEnd - 1, .failed, error: "e"))
        try await ends.run(on: session.connection, worker: 1, deadline: soon)
        #expect(try await database.text("SELECT state FROM otp.send_jobs") == "sending")
        ends = FinishUnsent()
        ends.append(UnsentEnd(job: last.id, attempt: last.attempt, lease: last.leaseEnd, .release))
        try await ends.run(on: session.connection, worker: 1, deadline: soon)
        #expect(try await claim(session).first?.tries == 3)
        await session.close()
    }
}
