import EventLoop
import OTP
import Postgres
import Queue
import Testing

/// The statements that decide when to ask Twilio for a message again, and for which purpose.
@Suite(.database) struct ReceiptStatementTests {
    let database = TestScope.current?.database

    private var soon: Instant { .now() + .seconds(120) }
    /// When a job was requested, which names a message together with the job's id.
    private func requestedAt(_ job: Int64) async throws -> Int64 {
        let text = try await #require(database).text(
            "SELECT (extract(epoch FROM requested_at) * 1000000)::bigint FROM otp.send_jobs WHERE id = \(job)")
        return try #require(Int64(text))
    }
    private static let sid = "SM00000000000000000000000000000001"

    /// A message that a worker has recorded, and a session like the worker's.
    private func recorded(sparedPolls: Int32 = 0) async throws -> TestDatabase.Session {
        let database = try #require(database)
        let job = try #require(Int64(try await database.enqueue("0501234567")))
        let session = try await database.connect()
        var ends = FinishAccepted(sparedPolls: sparedPolls)
        ends.append(
            AcceptedMessage(
                job: job, attempt: 1, verification: Int64(try await database.text("SELECT id FROM otp.verifications"))!,
                requestedAt: try await requestedAt(job), sid: try #require(.init(Self.sid)),
                status: .init(rawValue: "queued"),
                sender: nil))
        try await ends.run(on: session.connection, worker: 1, deadline: soon)
        return session
    }

    /// The message of the test.
    private func key(_ session: TestDatabase.Session) async throws -> MessageKey {
        let job = try await session.text("SELECT send_job_id FROM otp.messages WHERE message_sid = '\(Self.sid)'")
        return MessageKey(job: try #require(Int64(job)), sid: Self.sid)
    }

    private func report(
        _ session: TestDatabase.Session, _ status: String, errorCode: Int32? = nil, segments: Int32? = 1,
        price: String? = nil
    ) async throws {
        _ = try await RecordStatus.run(
            on: session.connection,
            [
                MessageReport(
                    try await key(session), status: status, errorCode: errorCode, segments: segments, price: price,
                    priceUnit: "USD", sender: nil)
            ], deadline: soon)
    }

    /// Two messages of one job in one batch, as a lookup may find them. One ends the job, and the other is kept as
    /// surplus and counted as a second send. It does not matter whether the batch knows the place of the job's row.
    @Test(arguments: [false, true]) func aSecondMessageInTheSameBatchIsKept(knowsPlace: Bool) async throws {
        let database = try #require(database)
        let job = try #require(Int64(try await database.enqueue("0501234567")))
        let session = try await database.connect()
        let verification = try #require(Int64(try await database.text("SELECT id FROM otp.verifications")))
        var ends = FinishAccepted()
        for last in 1...2 {
            ends.append(
                AcceptedMessage(
                    job: job, attempt: 1, verification: verification, requestedAt: try await requestedAt(job),
                    place: knowsPlace ? TupleID(block: 0, offset: 1) : nil,
                    sid: try #require(.init("SM0000000000000000000000000000000\(last)")),
                    status: .init(rawValue: "queued"), sender: nil))
        }
        let beside = try await ends.run(on: session.connection, worker: 1, deadline: soon)
        #expect(beside.all == 1 && beside.second == 1)
        #expect(
            try await database.text("SELECT count(*), count(*) FILTER (WHERE is_primary) FROM otp.messages") == "2|1")
        #expect(try await database.text("SELECT count(*) FROM otp.send_jobs") == "0")
        await session.close()
    }

    /// Jobs whose limits cannot be checked go back to the queue, untried.
    @Test func aClaimWhoseLimitsCannotBeAskedGoesBack() async throws {
        let database = try #require(database)
        try await database.enqueue("0501234567")
        try await database.text(
            """
            INSERT INTO otp.limits (scope, period, max_sends) VALUES ('country', '1 day', 100);
            ALTER FUNCTION otp.within_limits RENAME TO gone
            """)
        let session = try await database.connect()
        func claim() async throws(PostgresError) -> Int {
            try await Claim.run(
                on: session.connection, limit: 1, quarantined: true, channels: [.sms], worker: 1, keys: .tests,
                lease: .seconds(30),
                deadline: soon
            ).jobs.count
        }
        await #expect(throws: PostgresError.self) { _ = try await claim() }
        #expect(try await database.text("SELECT state, attempt, returned FROM otp.send_jobs") == "queued|1|1")
        try await database.text("ALTER FUNCTION otp.gone RENAME TO within_limits")
        #expect(try await claim() == 1)
        await session.close()
    }

    /// The request that is due for the message.
    private func due(_ session: TestDatabase.Session) async throws -> String {
        try await session.text("UPDATE otp.messages SET next_poll_at = now() WHERE next_poll_at IS NOT NULL")
        let due = try await PollMessages.run(on: session.connection, limit: 20, deadline: soon)
        guard due.taken == 1 else { return due.taken == 0 ? "never" : "too much" }
        if due.toFetch.map(\.sid) == [Self.sid] { return "fetch" }
        guard let redaction = due.toRedact.first else { return "nothing" }
        #expect(redaction.key.sid == Self.sid)
        return redaction.isLastTry ? "empty, for the last time" : "empty"
    }

    /// In how many seconds it is due again; empty for never.
    private func wait(_ session: TestDatabase.Session) async throws -> String {
        try await session.text(
            "SELECT round(extract(epoch FROM next_poll_at - now())) FROM otp.messages")
    }

    @Test func theFirstPollIsLaterWhereCallbacksTell() async throws {
        for (spared, first, then) in [(0 as Int32, "2", "2"), (FinishAccepted.sparedByCallbacks, "16", "16")] {
            let session = try await recorded(sparedPolls: spared)
            #expect(
                try await session.text("SELECT extract(epoch FROM next_poll_at - accepted_at)::int FROM otp.messages")
                    == first)
            #expect(try await due(session) == "fetch")
            #expect(try await wait(session) == then)
            try await session.text("TRUNCATE otp.messages, otp.verifications")
            await session.close()
        }
    }

    @Test func aMessageIsAskedForUntilItsBillIsKnown() async throws {
        let session = try await recorded()
        try await report(session, "sent")
        #expect(try await wait(session) != "")
        // Reported by a callback, with the bill still open.
        try await session.text("SELECT otp.record_status('\(Self.sid)', 'delivered')")
        #expect(try await due(session) == "fetch")
        try await report(session, "delivered")
        #expect(try await due(session) == "fetch")
        try await report(session, "delivered", price: "-0.05")
        #expect(try await wait(session) == "")
        #expect(try await due(session) == "never")
        await session.close()
    }

    @Test func thePriceIsWaitedForForADay() async throws {
        let session = try await recorded()
        try await report(session, "delivered")
        // A poll for the status waits an hour at most, one for the bill six.
        for (polls, expected) in [(1, "4"), (10, "2048"), (14, "21600"), (30, "21600")] {
            try await session.text("UPDATE otp.messages SET polls = \(polls)")
            #expect(try await due(session) == "fetch")
            #expect(try await wait(session) == expected)
        }
        try await session.text("UPDATE otp.messages SET final_at = NULL, polls = 14")
        #expect(try await due(session) == "fetch")
        #expect(try await wait(session) == "3600")
        try await session.text("UPDATE otp.messages SET accepted_at = now() - interval '1 day'")
        #expect(try await due(session) == "nothing")
        #expect(try await wait(session) == "")
        await session.close()
    }

    @Test func whatFailedHasNoPriceToWaitFor() async throws {
        let session = try await recorded()
        try await session.text("SELECT otp.record_status('\(Self.sid)', 'failed', 30002)")
        // Once, for its segments and its sender.
        #expect(try await due(session) == "fetch")
        try await report(session, "failed", errorCode: 30002)
        #expect(try await wait(session) == "")
        await session.close()
    }

    /// Lookups adopt messages this way: their first recorded status is the last one.
    @Test func aMessageThatIsFinalWhenItIsFoundBecomesSo() async throws {
        let session = try await recorded()
        try await session.text(
            """
            UPDATE otp.countries SET receipts_reliable = true;
            UPDATE otp.messages SET status = 'undelivered'
            """)
        try await report(session, "undelivered", errorCode: 30003, price: "-0.05")
        #expect(
            try await session.text(
                "SELECT final_at IS NOT NULL, error_code, next_poll_at, follow_up IS NOT NULL FROM otp.messages")
                == "t|30003||t")
        #expect(try await session.text("SELECT count(*) FROM otp.send_jobs WHERE follows IS NOT NULL") == "1")
        try await report(session, "undelivered", errorCode: 30003, price: "-0.05")
        #expect(try await session.text("SELECT count(*) FROM otp.send_jobs") == "1")
        await session.close()
    }

    /// Users of one address share its count. A batch that resends for one of them must not hold the count while it
    /// waits for another, who is requesting again.
    @Test func failuresOfOneBatchDoNotLockEachOthersUsersOut() async throws {
        let database = try #require(database)
        try await database.text("UPDATE otp.countries SET receipts_reliable = true")
        var reports: [MessageReport] = []
        for (number, sid) in ["SM\(String(repeating: "a", count: 32))", "SM\(String(repeating: "b", count: 32))"]
            .enumerated()
        {
            try await database.text(
                """
                WITH v AS (
                    INSERT INTO otp.verifications (subject, phone_number, client_ip)
                    VALUES ('\(sid)', '050123456\(number)', '192.0.2.1')
                    RETURNING id)
                INSERT INTO otp.messages (job_range, message_sid, send_job_id, verification_id, attempt, is_primary,
                                          requested_at, status)
                SELECT -1, '\(sid)', \(number - 2), id, 1, true, now(), 'sent' FROM v
                """)
            reports.append(
                MessageReport(
                    MessageKey(job: Int64(number - 2), sid: sid), status: "undelivered", errorCode: 30003, segments: 1,
                    price: nil, priceUnit: nil,
                    sender: nil))
        }
        let failures = reports
        let (user, worker) = (try await database.connect(), try await database.connect())
        let newest = "(SELECT max(id) FROM otp.verifications)"
        // As a request does: the verification first, then the counts.
        try await user.text("BEGIN; SELECT FROM otp.verifications WHERE id = \(newest) FOR NO KEY UPDATE")
        let deadline = soon
        async let recorded = RecordStatus.run(on: worker.connection, failures, deadline: deadline)
        try await database.becomes(
            "1",
            """
            SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%UPDATE otp.messages%'
               AND pid <> pg_backend_pid()
            """)
        try await user.text("INSERT INTO otp.send_jobs (verification_id) VALUES (\(newest)); COMMIT")
        let refusal = try await recorded
        #expect(refusal == nil)
        #expect(
            try await database.text("SELECT follow_up FROM otp.messages ORDER BY send_job_id DESC LIMIT 1")
                == "Not sent again: the user had already requested the code again.")
        #expect(try await database.text("SELECT count(follows), count(*) FROM otp.send_jobs") == "1|2")
        await user.close()
        await worker.close()
    }

    @Test func aTextIsEmptiedWhenItsCodeIsDeadAndNoSendOfItLives() async throws {
        let session = try await recorded()
        try await session.text("UPDATE otp.settings SET redact_bodies = true")
        try await report(session, "delivered", price: "-0.05")
        #expect(
            try await session.text(
                "SELECT next_poll_at = expires_at FROM otp.messages, otp.verifications") == "t")
        #expect(try await due(session) == "nothing")
        #expect(
            try await session.text(
                "SELECT next_poll_at = expires_at FROM otp.messages, otp.verifications") == "t")
        // Another send of the same code is still unknown when the code has expired.
        try await session.text(
            """
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM otp.verifications;
            ALTER TABLE otp.verifications DISABLE TRIGGER before_update;
            UPDATE otp.verifications SET expires_at = now()
            """)
        #expect(try await due(session) == "nothing")
        #expect(try await wait(session) == "60")
        try await session.text("DELETE FROM otp.send_jobs")
        for (tries, expected) in [(0, "60"), (1, "120"), (5, "1920"), (6, "3600"), (10, "3600"), (11, "")] {
            try await session.text("UPDATE otp.messages SET redactions = \(tries), next_poll_at = now()")
            #expect(try await due(session) == (tries == 11 ? "empty, for the last time" : "empty"))
            #expect(try await wait(session) == expected)
        }
        try await session.text("UPDATE otp.messages SET next_poll_at = now()")
        try await RecordRedactions.run(
            on: session.connection, emptied: [try await key(session)], kept: [], deadline: soon)
        #expect(try await wait(session) == "")
        // A late poll's result, or an operator, makes it due once more, and it is left.
        try await report(session, "delivered", price: "-0.05")
        #expect(try await wait(session) == "")
        try await session.text("UPDATE otp.messages SET next_poll_at = now()")
        #expect(try await due(session) == "nothing")
        #expect(try await wait(session) == "")
        await session.close()
    }

    /// With carriers that send no receipts, a message stays `sent` for ever.
    @Test func whatNeverBecomesFinalIsEmptiedAfterADay() async throws {
        let session = try await recorded()
        try await session.text(
            """
            UPDATE otp.settings SET redact_bodies = true;
            UPDATE otp.messages SET status = 'sent', accepted_at = now() - interval '1 day';
            ALTER TABLE otp.verifications DISABLE TRIGGER before_update;
            UPDATE otp.verifications SET expires_at = now()
            """)
        #expect(try await due(session) == "empty")
        // Not if the setting was turned off.
        try await session.text("UPDATE otp.settings SET redact_bodies = false")
        #expect(try await due(session) == "nothing")
        #expect(try await wait(session) == "")
        await session.close()
    }

    /// However a resend ends, its history names the job that it repeated.
    @Test func resendsAreKnownForWhatTheyAreOnceEnded() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        for end in ["expired", "failed", "unknown", "repeated"] {
            let verification = try await database.text(
                """
                INSERT INTO otp.verifications (subject, phone_number) VALUES ('\(end)', '0501234567') RETURNING id
                """)
            try await database.text(
                "INSERT INTO otp.send_jobs (verification_id, follows) VALUES (\(verification), \(verification)00)")
        }
        func job(_ subject: String) async throws -> (id: Int64, verification: Int64) {
            let row = try await database.text(
                """
                SELECT j.id, v.id FROM otp.send_jobs j JOIN otp.verifications v ON v.id = j.verification_id
                 WHERE v.subject = '\(subject)'
                """
            ).split(separator: "|").compactMap { Int64($0) }
            return (row[0], row[1])
        }
        try await database.text(
            """
            UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 1,
                                     lease_expires_at = now() + interval '1 minute';
            UPDATE otp.send_jobs SET state = 'queued', expires_at = now() WHERE id = \(try await job("expired").id);
            UPDATE otp.send_jobs SET state = 'unknown', unknown_at = now(), next_lookup_at = now()
             WHERE id = \(try await job("unknown").id)
            """)
        _ = try await Sweep.run(on: session.connection, from: nil, isIdle: true, deadline: soon)
        var ends = FinishUnsent()
        ends.append(UnsentEnd(job: try await job("failed").id, attempt: 1, .failed, error: "e"))
        try await ends.run(on: session.connection, worker: 1, deadline: soon)
        let unknown = try #require(
            try await TakeUnknown.run(
                on: session.connection, limit: 1, keys: .tests, lease: .seconds(20), deadline: soon
            ).first)
        var lookups = FinishLookup()
        lookups.append(EndedLookup(unknown, .fail, error: "e"))
        _ = try await lookups.run(on: session.connection, deadline: soon)
        // Twilio answers with the SID of another message.
        try await database.text(
            """
            INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status)
            VALUES ('\(Self.sid)', 1000, 1000, 1, true, now(), 'sent')
            """)
        let repeated = try await job("repeated")
        var accepted = FinishAccepted()
        accepted.append(
            AcceptedMessage(
                job: repeated.id, attempt: 1, verification: repeated.verification,
                requestedAt: try await requestedAt(repeated.id),
                sid: try #require(.init(Self.sid)), status: .init(rawValue: "queued"), sender: nil))
        try await accepted.run(on: session.connection, worker: 1, deadline: soon)
        #expect(
            try await database.text(
                """
                SELECT subject, job_state FROM otp.delivery_status WHERE follows = verification_id * 100 ORDER BY 1
                """) == "expired|expired\nfailed|failed\nrepeated|failed\nunknown|failed")
        await session.close()
    }
}
