import EventLoop
import Glibc
import Queue
import TestSupport
import Testing

/// Lookups settle unknown outcomes: a job is sent again only after the grace and two lookups that missed its message.
/// The waits of the rule are columns (`unknown_at`, `next_lookup_at`), so that no test needs to wait.
@Suite(.database) struct OutcomeReconcilerTests {
    let database = TestScope.current?.database

    /// Makes the grace, or the wait between two lookups, be over.
    private func letWaitPass(_ database: TestDatabase) async throws {
        try await database.text(
            """
            UPDATE otp.send_jobs SET unknown_at = least(unknown_at, now() - interval '45 seconds'), next_lookup_at = now()
             WHERE state = 'unknown'
            """)
    }

    /// Waits until this many lookups have been counted.
    private func lookups(_ count: Int, _ database: TestDatabase) async throws {
        try await database.becomes("unknown|\(count)", "SELECT state, lookups FROM otp.send_jobs")
    }

    @Test func whatTwilioHasIsAdopted() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let program = try await Otpd.run(simulator)
        try await database.enqueue("+966590200002")
        try await database.becomes(
            "accepted|delivered|1|t",
            """
            SELECT d.job_state, d.message_status, d.attempts, m.is_primary
              FROM otp.delivery_status d JOIN otp.messages m USING (send_job_id)
            """)
        #expect(try simulator.stats().creates == 1)
        try await program.says("settled unknown outcomes: Twilio has these messages")
    }

    @Test func whatTwilioDoesNotHaveIsSentAgainAfterTheGraceAndTwoLookups() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let program = try await Otpd.run(simulator)
        try simulator.faults(#"{"next": [{"fault": "read_then_close"}]}"#)
        try await database.enqueue("0501234567", code: "013579")
        try await database.becomes("unknown|1", "SELECT job_state, attempts FROM otp.delivery_status")
        // A lookup before the end of the grace found nothing, which proves nothing.
        try await database.becomes(
            "unknown|0|t",
            "SELECT state, lookups, next_lookup_at > unknown_at + interval '10 seconds' FROM otp.send_jobs")
        try await letWaitPass(database)
        try await lookups(1, database)
        #expect(try simulator.stats().creates == 1)
        try await letWaitPass(database)
        try await database.becomes("accepted|2", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.inbox().map(\.code) == ["013579"])
        #expect(try simulator.stats().creates == 2)
        try await program.says("Twilio does not have these messages, sending them again")
    }

    @Test func neverMeansFailedAndTheNextRequestGoes() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator, ["OTPD_RESEND_UNKNOWN": "never"])
        try simulator.faults(#"{"next": [{"fault": "read_then_close"}]}"#)
        try await database.enqueue("0501234567", subject: "one")
        try await database.becomes("unknown", "SELECT job_state FROM otp.delivery_status")
        // The user asks again: the same code waits behind the first job.
        try await database.text("INSERT INTO otp.send_jobs (verification_id) SELECT id FROM otp.verifications")
        for lookup in 1...2 {
            try await database.becomes("1", "SELECT count(*) FROM otp.send_jobs WHERE state = 'unknown'")
            try await letWaitPass(database)
            if lookup == 1 {
                try await database.becomes("1", "SELECT lookups FROM otp.send_jobs WHERE state = 'unknown'")
            }
        }
        try await database.becomes(
            "failed|1|t\naccepted|1|f",
            """
            SELECT job_state, attempts, coalesce(error LIKE 'Outcome unknown:%OTPD_RESEND_UNKNOWN=never%', false)
              FROM otp.delivery_status ORDER BY send_job_id
            """)
        #expect(try simulator.inbox().count == 1)
    }

    /// A list that lags does not show Twilio's message. Before the end of the grace that has no effect.
    @Test func aListThatLagsIsWaitedFor() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"list_lag_ms": 3600000, "next": [{"fault": "create_then_close"}]}"#)
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes(
            "unknown|0|t",
            "SELECT state, lookups, next_lookup_at > unknown_at + interval '10 seconds' FROM otp.send_jobs")
        try simulator.faults(#"{"list_lag_ms": 0}"#)
        try await database.text("UPDATE otp.send_jobs SET next_lookup_at = now()")
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.stats().creates == 1)
    }

    /// The code's expiry does not end a job before its last lookup, even if no lookup was possible earlier. Queued jobs
    /// whose codes expire at the same moment show that a sweep has run.
    @Test func theLastLookupDecidesAfterTheExpiry() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(
            #"{"next": [{"fault": "create_then_close"}, {"fault": "503", "on": "list", "count": 100000}]}"#)
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567", subject: "unknown")
        try await database.becomes("unknown", "SELECT job_state FROM otp.delivery_status")
        // The second statement also removes its lookup's lease, as if its worker had crashed.
        try await database.text(
            "UPDATE otp.send_jobs SET expires_at = now(), lease_expires_at = now(), next_lookup_at = now() + interval '1 hour'"
        )
        for sweep in 1...2 {
            try await database.text(
                """
                BEGIN;
                WITH v AS (INSERT INTO otp.verifications (subject, phone_number) VALUES ('\(sweep)', '050765432\(sweep)')
                           RETURNING id)
                INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v;
                UPDATE otp.send_jobs SET expires_at = now() WHERE state = 'queued';
                COMMIT
                """)
            try await database.becomes(
                "expired|unknown",
                """
                SELECT (SELECT job_state FROM otp.delivery_status WHERE subject = '\(sweep)'),
                       (SELECT job_state FROM otp.delivery_status WHERE subject = 'unknown')
                """)
        }
        try simulator.faults(#"{"next": []}"#)
        try await database.text("UPDATE otp.send_jobs SET next_lookup_at = now()")
        try await database.becomes(
            "accepted", "SELECT job_state FROM otp.delivery_status WHERE subject = 'unknown'")
    }

    /// If Twilio does not have the message, the last lookup records this, with the known facts of the attempt.
    @Test func theLastLookupEndsWhatTwilioDoesNotHave() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"next": [{"fault": "read_then_close"}]}"#)
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes("unknown", "SELECT job_state FROM otp.delivery_status")
        try await database.text(
            """
            UPDATE otp.send_jobs SET expires_at = now(), next_lookup_at = now(), unknown_at = now() - interval '45 seconds'
            """)
        try await database.becomes(
            "failed|t|1",
            """
            SELECT job_state, error LIKE 'Outcome unknown: the message may have been sent, and its code has expired since. %', attempts
              FROM otp.delivery_status
            """)
        #expect(try simulator.stats().creates == 1)
    }

    /// The sweep ends it only if no worker can look it up.
    @Test func theSweepEndsAJobThatNoWorkerLooksUp() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await database.enqueue("0501234567")
        func sweep(lookupDue: String) async throws -> Int {
            try await database.text(
                """
                UPDATE otp.send_jobs SET state = 'unknown', attempt = 1, lease_expires_at = now(), expires_at = now(),
                                         unknown_at = now() - interval '1 hour', next_lookup_at = now() - interval '\(lookupDue)'
                """)
            return try await Sweep.run(
                on: session.connection, from: nil, isIdle: true, deadline: .now() + .seconds(20)
            ).unknownFailed
        }
        #expect(try await sweep(lookupDue: "110 seconds") == 0)
        #expect(try await sweep(lookupDue: "121 seconds") == 1)
        #expect(try await database.text("SELECT job_state FROM otp.delivery_status") == "failed")
        await session.close()
    }

    /// A failed fetch of the list is not a list without the message.
    @Test(arguments: ["500", "503", "429", "close_mid_answer", "garbage"])
    func aLookupThatFailsDoesNotCount(fault: String) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(
            #"{"next": [{"fault": "read_then_close"}, {"fault": "\#(fault)", "on": "list", "count": 1000}]}"#)
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes("unknown", "SELECT job_state FROM otp.delivery_status")
        for _ in 1...3 {
            try await letWaitPass(database)
            try await database.becomes("t", "SELECT next_lookup_at > now() + interval '5 seconds' FROM otp.send_jobs")
            #expect(try await database.text("SELECT state, lookups FROM otp.send_jobs") == "unknown|0")
        }
        try simulator.faults(#"{"next": []}"#)
        try await letWaitPass(database)
        try await lookups(1, database)
        try await letWaitPass(database)
        try await database.becomes("accepted|2", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.stats().creates == 2)
    }

    /// The callback's URL names the attempt. So its SID settles the job although the answer to the POST was lost and
    /// Twilio's list hides the message.
    @Test func aCallbackSettlesIt() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let callbacks = try CallbackSocket()
        try simulator.faults(#"{"list_lag_ms": 3600000, "next": [{"fault": "create_then_close"}]}"#)
        try await Otpd.run(simulator, ["OTPD_CALLBACK_PUBLIC_URL": "http://127.0.0.1:\(callbacks.port)/twilio"])
        let job = try await database.enqueue("0501234567")
        try await database.becomes("unknown", "SELECT job_state FROM otp.delivery_status")
        let request = try await eventually("a callback") { callbacks.first }
        #expect(request.hasPrefix("POST /twilio?reference=\(job).1 HTTP/1.1"))
        let sid = try #require(try simulator.inbox().first?.sid)
        #expect(
            try await database.text("SELECT otp.record_status('\(sid)', 'sent', reference => '\(job).1')") == "t")
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.stats().creates == 1)
    }

    /// A crashed worker leaves both kinds: messages at Twilio are adopted, and jobs that never left are sent again.
    @Test func aDeadWorkersJobsAreResolvedByAnother() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 30000}"#)
        let dead = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "3"])
        try await database.enqueueMany(3)
        _ = try await eventually("three at Twilio") { try simulator.stats().created == 3 ? true : nil }
        dead.signal(SIGKILL)
        _ = try await dead.exit()
        try simulator.faults(#"{"rates": {}}"#)
        // As if it had claimed a fourth, and not handed it over.
        try await database.enqueue("0509876543")
        try await database.text(
            """
            UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 1 WHERE state = 'queued';
            UPDATE otp.send_jobs SET lease_expires_at = now()
            """)
        try await Otpd.run(simulator)
        try await database.becomes(
            "accepted|3\nunknown|1", "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1 ORDER BY 1")
        try await letWaitPass(database)
        try await lookups(1, database)
        try await letWaitPass(database)
        try await database.becomes(
            "accepted|4|5", "SELECT job_state, count(*), sum(attempts) FROM otp.delivery_status GROUP BY 1")
        let stats = try simulator.stats()
        #expect(stats.created == 4)
        #expect(stats.numbersRepeated == 0)
    }

    /// No rule can exclude that an old request is accepted after the new one. It is recorded, counted, and raises an
    /// alarm.
    @Test func aSecondMessageIsRecordedCountedAndAlarmed() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        // The first is accepted, but listed only after the job has been sent again, far beyond the assumptions.
        try simulator.faults(#"{"list_lag_ms": 3600000, "next": [{"fault": "create_then_close"}]}"#)
        let program = try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes("unknown", "SELECT job_state FROM otp.delivery_status")
        try await letWaitPass(database)
        try await lookups(1, database)
        // The second answer is lost too. Then the list shows both.
        try simulator.faults(#"{"next": [{"fault": "create_then_close"}]}"#)
        try await letWaitPass(database)
        try await database.becomes("unknown|2", "SELECT state, attempt FROM otp.send_jobs")
        try simulator.faults(#"{"list_lag_ms": 0}"#)
        try await database.text("UPDATE otp.send_jobs SET next_lookup_at = now()")
        try await program.says("a send job has a second message")
        #expect(
            try await database.text("SELECT count(*), count(*) FILTER (WHERE is_primary) FROM otp.messages") == "2|1")
        #expect(try await database.text("SELECT error_class, failures FROM otp.failure_summary") == "sent_twice|1")
        #expect(try await database.text("SELECT job_state, attempts FROM otp.delivery_status") == "accepted|2")
    }

    /// A job whose worker was lost three times is not claimed a fourth time.
    @Test func aPoisonousJobFails() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.enqueue("0501234567")
        try await database.text(
            """
            UPDATE otp.send_jobs SET state = 'sending', attempt = 3, worker = 1, lost_claims = 2,
                                     lease_expires_at = now() - interval '50 seconds'
            """)
        try await Otpd.run(simulator)
        try await lookups(1, database)
        try await letWaitPass(database)
        try await database.becomes(
            "failed|3|t",
            """
            SELECT job_state, attempts, error LIKE 'The job was claimed 3 times and no worker could finish it%'
              FROM otp.delivery_status
            """)
        #expect(try simulator.stats().creates == 0)
    }

    /// Quarantined jobs are sent one at a time, so that they crash no neighbor twice.
    @Test func suspectsGoOneAtATime() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start(arguments: ["--latency-ms", "100"])
        try await database.enqueueMany(6)
        try await database.text("UPDATE otp.send_jobs SET lost_claims = 1 WHERE id % 2 = 0")
        try await Otpd.run(simulator)
        try await database.becomes("accepted|6", "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        // Three other jobs and at most one quarantined job.
        #expect(try simulator.stats().maxConcurrent <= 4)
    }
}
