import Glibc
import TestSupport
import Testing

/// Starting, draining, being killed, and sharing work.
@Suite(.database) struct LifecycleTests {
    let database = TestScope.current?.database

    @Test func systemdIsToldOfEveryStep() async throws {
        let simulator = try await Simulator.start()
        let socket = try NotifySocket()
        let otpd = try await Otpd.run(simulator, ["NOTIFY_SOCKET": socket.name, "WATCHDOG_USEC": "1000000"])
        _ = try await eventually("STATUS=running") {
            socket.messages.contains { $0.contains("STATUS=running") } ? true : nil
        }
        let first = try #require(socket.messages.first)
        #expect(first.split(separator: "\n").first == "READY=1")
        #expect(first.contains("STATUS=waiting for the database"))
        #expect(!socket.messages.contains { $0.contains("STOPPING=1") })
        _ = try await eventually("WATCHDOG=1") {
            socket.messages.count { $0.contains("WATCHDOG=1") } >= 2 ? true : nil
        }
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        _ = try await eventually("STOPPING=1") { socket.messages.contains { $0.contains("STOPPING=1") } ? true : nil }
    }

    /// SIGTERM: requests at Twilio end and are recorded, jobs claimed ahead are released, and no other job is claimed.
    @Test(arguments: [SIGTERM, SIGINT])
    func aDrainFinishesWhatIsUnderWay(signal: Int32) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 100}"#)
        try await database.enqueueMany(500)
        let otpd = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "8"])
        _ = try await eventually("a hundred sends") { try simulator.stats().created >= 100 ? true : nil }
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 2000}"#)
        // All eight are slow now, and more were claimed ahead.
        try await database.becomes("t", "SELECT count(*) > 8 FROM otp.send_jobs WHERE state = 'sending'")
        _ = try await eventually("eight at Twilio") { try simulator.stats().concurrent == 8 ? true : nil }
        otpd.signal(signal)
        #expect(try await otpd.exit() == 0)

        let created = try simulator.stats().created
        #expect(created < 500)
        #expect(
            try await database.text(
                "SELECT sum((job_state = 'accepted')::int), sum((job_state = 'queued')::int) FROM otp.delivery_status")
                == "\(created)|\(500 - created)")
        #expect(
            try await database.text(
                "SELECT count(*) > 0 FROM otp.send_jobs WHERE state = 'queued' AND attempt = 1 AND worker IS NULL")
                == "t")
        #expect(try await database.text("SELECT state, in_flight FROM otp.worker_status") == "stopped|0")
        // Another worker takes them at once, because they were released and not left to their leases.
        try simulator.faults(#"{"rates": {}}"#)
        try await Otpd.run(simulator)
        try await database.becomes("500", "SELECT count(*) FROM otp.delivery_status WHERE job_state = 'accepted'")
        #expect(try simulator.stats().numbersRepeated == 0)
        #expect(try simulator.stats().created == 500)
    }

    @Test func aSecondSignalLeavesAtOnce() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 9500}"#)
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        _ = try await eventually("it is at Twilio") { try simulator.stats().concurrent == 1 ? true : nil }
        otpd.signal(SIGTERM)
        try await otpd.says("draining")
        #expect(otpd.ending == nil)
        // A signal counts as a second one if a second has passed since otpd took the first, which was before this
        // moment.
        let heard = ContinuousClock.now
        while ContinuousClock.now - heard <= .seconds(1) { try await Task.sleep(for: .milliseconds(50)) }
        otpd.signal(SIGTERM)
        let ending = try await otpd.exit()
        #expect(ending != 0)
        // otpd waited neither for the answer nor for the end of the drain. Both would have been recorded.
        #expect(try await database.text("SELECT state <> 'stopped' FROM otp.worker_status") == "t")
        // Its lease still names its worker, and no other worker sends it.
        #expect(try await database.text("SELECT state, attempt FROM otp.send_jobs") == "sending|1")
    }

    /// `timeout`, `tini -g` and process groups deliver a stop twice at once. That counts as one stop.
    @Test(arguments: [[SIGTERM, SIGTERM], [SIGTERM, SIGINT], [SIGINT, SIGTERM, SIGINT]])
    func aStopThatComesTwiceAtOnceDrains(signals: [Int32]) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 4000}"#)
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        _ = try await eventually("it is at Twilio") { try simulator.stats().concurrent == 1 ? true : nil }
        // They are pending together, whatever the machine's speed.
        otpd.signal(SIGSTOP)
        for signal in signals { otpd.signal(signal) }
        otpd.signal(SIGCONT)
        #expect(try await otpd.exit() == 0)
        #expect(try await database.text("SELECT job_state FROM otp.delivery_status") == "accepted")
        #expect(otpd.errors.split(separator: "\n").count { $0.contains("received a stop signal") } == 1)
    }

    @Test func aKilledWorkersSendsAreResolvedAndTheOthersGoOn() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 1000}"#)
        let doomed = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "10"])
        let other = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "10"])
        try await database.enqueueMany(120)
        let worker = try await eventually("its row in worker_status") {
            let row = try await database.text("SELECT worker_id FROM otp.worker_status WHERE pid = \(doomed.pid)")
            return row.isEmpty ? nil : row
        }
        try await database.becomes(
            "t|t",
            """
            SELECT count(*) FILTER (WHERE worker = \(worker)) >= 5, count(*) FILTER (WHERE worker <> \(worker)) >= 5
              FROM otp.send_jobs WHERE state = 'sending'
            """)
        _ = try await eventually("sends of both") { try simulator.stats().concurrent >= 15 ? true : nil }
        doomed.signal(SIGKILL)
        #expect(try await doomed.exit() == -SIGKILL)
        let lost = try await database.text(
            "SELECT count(*) FROM otp.send_jobs WHERE worker = \(worker) AND state = 'sending'")
        #expect(lost != "0")
        // Their lease is 30 s, which the test shortens.
        try await database.text("UPDATE otp.send_jobs SET lease_expires_at = now() WHERE worker = \(worker)")
        // Messages at Twilio are adopted. Jobs that had not left are sent again after the waits of the rule.
        for _ in 1...2 {
            try await database.becomes(
                "t", within: .seconds(40),
                """
                SELECT count(*) FILTER (WHERE state IN ('queued', 'sending')) = 0 AND coalesce(min(next_lookup_at) > now(), true)
                  FROM otp.send_jobs
                """)
            try await database.text(
                """
                UPDATE otp.send_jobs SET unknown_at = unknown_at - interval '60 seconds', next_lookup_at = now()
                 WHERE state = 'unknown'
                """)
        }
        try await database.becomes(
            "accepted|120", within: .seconds(40), "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        #expect(other.ending == nil)
        #expect(try simulator.stats().created == 120)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    /// Makes the worker claim while `holder`'s lock delays it, ends that session, and releases the lock. So the claim's
    /// answer is lost.
    private func loseAClaim(heldUpBy holder: TestDatabase.Session) async throws {
        let database = try #require(database)
        try await database.text("SELECT pg_notify('otp_send_jobs', '')")
        let claiming = try await eventually("a claim waits for the lock") {
            let row = try await database.text(
                """
                SELECT pid FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%q.due_at <= now()%'
                """)
            return row.isEmpty ? nil : row
        }
        try await database.text("SELECT pg_terminate_backend(\(claiming))")
        try await holder.text("COMMIT")
    }

    /// A claim's answer is lost with its connection. The worker knows that it never had those jobs, and releases them
    /// instead of leaving them to their lease and the reconciler.
    @Test func aLostClaimIsGivenBack() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        let worker = try await eventually("its row in worker_status") {
            let row = try await database.text("SELECT worker_id FROM otp.worker_status")
            return row.isEmpty ? nil : row
        }
        // As if it had claimed a job. The row is invisible before the commit, and the table's lock delays the next
        // claim.
        let other = try await database.connect()
        try await other.text(
            """
            BEGIN;
            WITH v AS (
                INSERT INTO otp.verifications (subject, phone_number) VALUES ('lost', '0501234567') RETURNING id)
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v;
            UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = \(worker),
                                     lease_expires_at = now() + interval '1 hour';
            LOCK TABLE otp.send_jobs
            """)
        try await loseAClaim(heldUpBy: other)
        try await database.becomes("accepted|2", "SELECT job_state, attempts FROM otp.delivery_status")
        try await otpd.says("gave back unsent jobs of a claim whose answer was lost")
        #expect(try simulator.stats().created == 1)
        await other.close()
    }

    /// A job that is `sending` with the worker's number, but is not in its hand, is not always lost with a claim. If
    /// the worker has sent it before, its SID is recorded again.
    @Test func whatWasSentIsNoLostClaim() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.enqueue("0501234567")
        try await database.text("CREATE TABLE public.before AS SELECT * FROM otp.send_jobs")
        let otpd = try await Otpd.run(simulator)
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        // The database forgets how the job ended. The lock delays the next claim, whose answer is then lost.
        let other = try await database.connect()
        try await other.text(
            """
            BEGIN;
            SET LOCAL session_replication_role = replica;
            UPDATE public.before
               SET state = 'sending', attempt = 1, worker = (SELECT worker FROM otp.messages),
                   lease_expires_at = now() + interval '1 hour';
            INSERT INTO otp.send_jobs OVERRIDING SYSTEM VALUE SELECT * FROM public.before;
            DELETE FROM otp.messages;
            LOCK TABLE otp.send_jobs
            """)
        try await loseAClaim(heldUpBy: other)
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.stats().creates == 1)
        #expect(!otpd.errors.contains("gave back unsent jobs"))
        await other.close()
    }

    /// A database that forgets a claim and the job's ending, like a standby promoted without them. Here there is no
    /// failover, so the worker notices only at its next claim.
    @Test(arguments: [
        ("the answer came", #"{"next": []}"#), ("the answer was lost", #"{"next": [{"fault": "create_then_close"}]}"#),
    ])
    func aForgottenSendIsNotSentAgain(_ name: String, faults: String) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(faults)
        try await database.enqueue("0501234567")
        try await database.text("CREATE TABLE public.before AS SELECT * FROM otp.send_jobs")
        let otpd = try await Otpd.run(simulator)
        // Found by the first lookup, because the answer was lost.
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        try await database.text(
            """
            BEGIN;
            SET LOCAL session_replication_role = replica;
            INSERT INTO otp.send_jobs OVERRIDING SYSTEM VALUE SELECT * FROM public.before;
            DELETE FROM otp.messages;
            COMMIT;
            SELECT pg_notify('otp_send_jobs', '')
            """)
        try await otpd.says("claimed a job that was handed over already")
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.stats().creates == 1)
    }

    /// The same while its outcome is unknown. It stays unknown, and a lookup finds the message.
    @Test func aForgottenUnknownOutcomeIsLookedForAgain() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"list_lag_ms": 3600000, "next": [{"fault": "create_then_close"}]}"#)
        try await database.enqueue("0501234567")
        try await database.text("CREATE TABLE public.before AS SELECT * FROM otp.send_jobs")
        let otpd = try await Otpd.run(simulator)
        try await database.becomes("unknown|1", "SELECT job_state, attempts FROM otp.delivery_status")
        try await database.text(
            """
            BEGIN;
            SET LOCAL session_replication_role = replica;
            DELETE FROM otp.send_jobs;
            INSERT INTO otp.send_jobs OVERRIDING SYSTEM VALUE SELECT * FROM public.before;
            COMMIT;
            SELECT pg_notify('otp_send_jobs', '')
            """)
        try await otpd.says("claimed a job that was handed over already")
        try await database.becomes("unknown|1", "SELECT job_state, attempts FROM otp.delivery_status")
        try simulator.faults(#"{"list_lag_ms": 0}"#)
        try await database.text("UPDATE otp.send_jobs SET next_lookup_at = now()")
        try await database.becomes("accepted|1", "SELECT job_state, attempts FROM otp.delivery_status")
        #expect(try simulator.stats().creates == 1)
    }

    @Test func lostSessionsLoseNoJobAndSendNoneTwice() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 50}"#)
        try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "16"])
        try await database.enqueueMany(400)
        for round in 1...6 {
            _ = try await eventually("progress") { try simulator.stats().created >= round * 50 ? true : nil }
            try await database.text(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'otpd'
                """)
        }
        try await database.becomes("0", "SELECT count(*) FROM otp.send_jobs WHERE state = 'queued'")
        _ = try await eventually("nothing at Twilio") { try simulator.stats().concurrent == 0 ? true : nil }
        // Jobs claimed by a statement whose answer was lost belong to no worker until their lease ends, which is at
        // once here.
        try await database.becomes("0", "SELECT max(in_flight) FROM otp.worker_status")
        try await stays("what is accepted stays so", for: .seconds(1)) { true }
        let orphans = try await database.text("SELECT count(*) FROM otp.send_jobs WHERE state = 'sending'")
        try await database.text(
            "UPDATE otp.send_jobs SET lease_expires_at = now() - interval '1 second', expires_at = now()")
        try await database.becomes("0", within: .seconds(45), "SELECT count(*) FROM otp.send_jobs")
        let created = try simulator.stats().created
        #expect(
            try await database.text(
                """
                SELECT count(*), count(*) FILTER (WHERE job_state = 'accepted'),
                       count(*) FILTER (WHERE job_state = 'failed') FROM otp.delivery_status
                """) == "400|\(created)|\(orphans)")
        #expect(created + (Int(orphans) ?? -1) == 400)
        #expect(try simulator.stats().numbersRepeated == 0)
    }

    /// An idle worker polls only after a notification, and with its heartbeat. A job sent without a heartbeat in
    /// between was sent because of its NOTIFY. A heartbeat may come by chance; then another job shows it.
    @Test func aCommitWakesTheWorker() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        let heartbeat = "SELECT heartbeat_at FROM otp.worker_status"
        var isWoken = false
        for index in 1...9 where !isWoken {
            // After the polls that follow any activity (`ClaimSchedule.activeSpan`).
            try await Task.sleep(for: .seconds(11))
            let before = try await database.text(heartbeat)
            try await database.enqueue("050200000\(index)")
            try await database.becomes("\(index)", "SELECT count(*) FROM otp.messages")
            isWoken = try await database.text(heartbeat) == before
        }
        #expect(isWoken)
    }

    @Test func twoWorkersShareTheWork() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 20}"#)
        try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "16"])
        try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "16"])
        try await database.enqueueMany(500)
        try await database.becomes(
            "500|500|1|2", within: .seconds(30),
            "SELECT count(*), count(DISTINCT send_job_id), max(attempt), count(DISTINCT worker) FROM otp.messages")
        let stats = try simulator.stats()
        #expect(stats.created == 500)
        #expect(stats.numbers == 500)
        #expect(stats.numbersRepeated == 0)
        try await database.becomes("2", "SELECT workers_alive FROM otp.queue_status")
    }

    @Test func aWorkerIsSeenAtOnce() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        try await database.becomes(
            "running|\(otpd.pid)|1", within: .seconds(3),
            "SELECT w.state, w.pid, q.workers_alive FROM otp.worker_status w, otp.queue_status q")
    }
}
