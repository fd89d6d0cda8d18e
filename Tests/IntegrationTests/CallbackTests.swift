import Glibc
import TestSupport
import Testing

/// Status callbacks: `otpd run` and `otpd callbacks` as processes, signed by the simulator or by the test.
@Suite(.database) struct CallbackTests {
    let database = TestScope.current?.database

    /// Twilio does not answer the poller, so polls find nothing.
    private static let blindPoller = #"{"fault": "500", "on": "fetch", "count": 1000000}"#

    // MARK: otpd run, with callbacks from the simulator

    @Test func statusesArriveByCallbackAlone() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start(delays: "200,400,800")
        try simulator.faults(#"{"next": [\#(Self.blindPoller)]}"#)
        let otpd = try await Otpd.runReceiving(simulator)
        try await database.enqueue("0501234567", subject: "arrives")
        try await database.enqueue("+966590130003", subject: "unreachable")
        try await database.enqueue("+966590100000", subject: "no receipts")
        try await database.becomes(
            "arrives|delivered||t\nno receipts|sent||f\nunreachable|undelivered|30003|t",
            """
            SELECT subject, message_status, error_code, final_at IS NOT NULL FROM otp.delivery_status ORDER BY subject
            """)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        // Each status but the first, of each message.
        let stats = try simulator.stats()
        #expect(otpd.errors.contains("received=\(stats.callbacksSent)"))
        #expect(otpd.errors.contains("written=\(stats.callbacksSent)"))
        #expect(stats.callbacksFailed == 0)
    }

    /// The 201 is lost and the list does not show the message. The reference in the callback settles the job.
    @Test func aLostAnswerIsSettledByTheCallbackAlone() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start(delays: "200,400,800")
        try simulator.faults(
            #"{"list_lag_ms": 3600000, "next": [{"fault": "create_then_close"}, \#(Self.blindPoller)]}"#)
        try await Otpd.runReceiving(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes(
            "accepted|1|delivered", "SELECT job_state, attempts, message_status FROM otp.delivery_status")
        #expect(try await database.text("SELECT count(*) FROM otp.send_jobs") == "0")
        #expect(
            try await database.text("SELECT message_sid FROM otp.messages") == simulator.inbox().map(\.sid).joined())
        #expect(try simulator.stats().creates == 1)
    }

    /// The callback arrives before the answer to the POST, and before the attempt's end is recorded.
    @Test func aCallbackThatOvertakesTheAnswer() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start(delays: "20,40,60")
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 1000, "next": [\#(Self.blindPoller)]}"#)
        let otpd = try await Otpd.runReceiving(simulator)
        try await database.enqueueMany(20)
        try await database.becomes(
            "accepted|1|delivered|20",
            "SELECT job_state, attempts, message_status, count(*) FROM otp.delivery_status GROUP BY 1, 2, 3")
        _ = try await eventually("all are answered") { try simulator.stats().concurrent == 0 ? true : nil }
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(
            try await database.text("SELECT count(*), count(*) FILTER (WHERE is_primary) FROM otp.messages") == "20|20")
        #expect(!otpd.errors.contains("turned up"))
    }

    @Test func doubledAndReversed() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start(delays: "100,200,400")
        try simulator.faults(
            #"{"callbacks": {"duplicated": 0.5, "reversed": 1}, "next": [\#(Self.blindPoller)]}"#)
        let otpd = try await Otpd.runReceiving(simulator)
        try await database.enqueueMany(30)
        try await database.becomes(
            "accepted|1|delivered|30",
            "SELECT job_state, attempts, message_status, count(*) FROM otp.delivery_status GROUP BY 1, 2, 3")
        // At least `sending`, `sent`, `delivered` of each, and half of them twice.
        _ = try await eventually("all callbacks") { try simulator.stats().callbacksSent > 100 ? true : nil }
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(try await database.text("SELECT status, count(*) FROM otp.messages GROUP BY 1") == "delivered|30")
    }

    @Test func anAddressInUseIsSaidAndNothingIsClaimed() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let taken = try Loopback.listen()
        defer { close(taken.descriptor) }
        try await database.enqueue("0501234567")
        let otpd = try await Otpd.run(
            simulator,
            [
                "OTPD_CALLBACK_LISTEN": "127.0.0.1:\(taken.port)",
                "OTPD_CALLBACK_PUBLIC_URL": Callback.publicURL,
            ], awaitsConnection: false)
        #expect(try await otpd.exit() == 69)
        #expect(otpd.errors.contains("otpd: cannot receive status callbacks: 127.0.0.1:\(taken.port) is in use. Stop"))
        #expect(try await database.text("SELECT state, attempt FROM otp.send_jobs") == "queued|0")
    }

    // MARK: otpd callbacks, with callbacks from the test

    /// This many messages that a worker has recorded, with the SIDs from 1 on.
    private func messages(_ count: Int, _ database: TestDatabase) async throws {
        try await jobs(count, database)
        try await database.text(
            """
            WITH gone AS (DELETE FROM otp.send_jobs RETURNING *)
            INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, worker, is_primary,
                                      requested_at, accepted_at, status, next_poll_at)
            SELECT 'SM' || lpad(row_number() OVER (ORDER BY id)::text, 32, 'f'), id, verification_id, 1, 1, true,
                   requested_at, now(), 'queued', now()
              FROM gone
            """)
    }

    /// This many jobs whose outcome is unknown.
    private func jobs(_ count: Int, _ database: TestDatabase) async throws {
        try await database.enqueueMany(count)
        try await database.text(
            """
            UPDATE otp.send_jobs SET state = 'unknown', attempt = 1, worker = 1, unknown_at = now(), next_lookup_at = now(),
                                     lease_expires_at = NULL
            """)
    }

    private static let statuses = "SELECT status, count(*) FROM otp.messages GROUP BY 1 ORDER BY 1"

    @Test func behindAProxyTheConfiguredURLCounts() async throws {
        let database = try #require(database)
        try await messages(1, database)
        let (otpd, port) = try await Otpd.receiver()
        #expect(try Callback(sid: Callback.sid(1), status: "failed", errorCode: 30008).post(to: port) == 200)
        try await database.becomes(
            "failed|30008|t", "SELECT status, error_code, final_at > accepted_at FROM otp.messages")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
    }

    /// Refused, counted, and logged once. Nothing of the request is in the log.
    @Test func aWrongSignatureIsRefusedAndCounted() async throws {
        let database = try #require(database)
        try await messages(1, database)
        let (otpd, port) = try await Otpd.receiver()
        for _ in 0..<5 {
            #expect(try Callback(sid: Callback.sid(1), status: "sent", token: "another").post(to: port) == 403)
        }
        #expect(try HTTP1.exchange(port: port, "POST", "/twilio/status").status == 403)
        try await otpd.says("refused status callbacks without a valid signature")
        #expect(try Callback(sid: Callback.sid(1), status: "sent").post(to: port) == 200)
        try await database.becomes("sent|1", Self.statuses)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(otpd.errors.contains("refused=6"))
        // Logged once at the beginning and once at the end, not once per request.
        #expect(otpd.errors.split(separator: "\n").filter { $0.contains("refused=") }.count == 2)
        for secret in ["966501234567", "1234567", Callback.sid(1), Simulator.authToken, "reference"] {
            #expect(!otpd.errors.contains(secret))
        }
    }

    /// Answered at once, and recorded when the database is back, in whatever order and however often they came.
    @Test func theDatabaseIsAway() async throws {
        let database = try #require(database)
        try await messages(300, database)
        let (otpd, port) = try await Otpd.receiver()
        try await otpd.says("connected to the database (session for status callbacks)")
        // The first are in the writer's hand when the connection goes.
        let holder = try await database.connect()
        try await holder.text("BEGIN; LOCK TABLE otp.messages IN EXCLUSIVE MODE")
        for number in 1...300 {
            #expect(try Callback(sid: Callback.sid(number), status: "sending").post(to: port) == 200)
        }
        try await database.becomes(
            "1",
            """
            SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'otpd' AND wait_event_type = 'Lock'
            """)
        try await database.text(
            """
            UPDATE pg_database SET datallowconn = false WHERE datname = current_database();
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'otpd'
            """)
        for number in 1...300 {
            for status in ["delivered", "sent"] {
                #expect(try Callback(sid: Callback.sid(number), status: status).post(to: port) == 200)
            }
        }
        try await otpd.says("cannot reach the database; status callbacks wait in memory")
        #expect(try await database.text(Self.statuses) == "queued|300")
        try await holder.text("ROLLBACK")
        await holder.close()
        try await database.text("UPDATE pg_database SET datallowconn = true WHERE datname = current_database()")
        try await database.becomes("delivered|300", within: .seconds(60), Self.statuses)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(otpd.errors.contains("received=900"))
        #expect(otpd.errors.contains("written=900"))
    }

    /// Receipts in the writer's hand when the database is lost are written once more, which changes nothing.
    @Test func unknownOutcomesAreSettledOnceThoughToldTwice() async throws {
        let database = try #require(database)
        try await jobs(50, database)
        let ids = try await database.text("SELECT id FROM otp.send_jobs ORDER BY id").split(separator: "\n")
        let (otpd, port) = try await Otpd.receiver()
        for status in ["sent", "sent", "queued", "delivered", "sent"] {
            for (number, id) in ids.enumerated() {
                let callback = Callback(sid: Callback.sid(number), status: status, reference: "\(id).1")
                #expect(try callback.post(to: port) == 200)
            }
        }
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(try await database.text(Self.statuses) == "delivered|50")
        #expect(
            try await database.text(
                "SELECT count(*) FILTER (WHERE is_primary), count(DISTINCT send_job_id) FROM otp.messages") == "50|50")
        #expect(try await database.text("SELECT count(*) FROM otp.send_jobs") == "0")
    }

    /// Messages of other programs, and unknown statuses.
    @Test func whatIsNotOurs() async throws {
        let database = try #require(database)
        try await messages(1, database)
        let (otpd, port) = try await Otpd.receiver()
        let job = try await database.text("SELECT send_job_id FROM otp.messages")
        for reference in [nil, "999999.1", "0.0", "x", "\(job).9", "\(job)'; DROP TABLE otp.messages; --"] {
            let callback = Callback(
                sid: Callback.sid(77), status: "delivered",
                reference: reference.map { $0.split(separator: " ").joined(separator: "%20") })
            #expect(try callback.post(to: port) == 200)
        }
        #expect(try Callback(sid: Callback.sid(1), status: "levitating").post(to: port) == 200)
        #expect(try Callback(sid: Callback.sid(1), status: "No Word").post(to: port) == 400)
        #expect(try Callback(sid: "SM1", status: "sent").post(to: port) == 400)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(
            try await database.text("SELECT message_sid, status FROM otp.messages") == "\(Callback.sid(1))|levitating")
        for count in ["received=7", "written=7", "unknown=6", "malformed=2", "dropped=0"] {
            #expect(otpd.errors.contains(count))
        }
    }

    /// A message whose row another session holds delays no other, and is recorded when the row is free.
    @Test func aHeldRowHoldsUpNoOther() async throws {
        let database = try #require(database)
        try await messages(20, database)
        let (otpd, port) = try await Otpd.receiver()
        let holder = try await database.connect()
        try await holder.text(
            "BEGIN; SELECT FROM otp.messages WHERE message_sid = '\(Callback.sid(7))' FOR UPDATE")
        for number in 1...20 { #expect(try Callback(sid: Callback.sid(number), status: "sent").post(to: port) == 200) }
        try await database.becomes("queued|1\nsent|19", Self.statuses)
        try await holder.text("ROLLBACK")
        await holder.close()
        try await database.becomes("sent|20", Self.statuses)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
    }

    /// An operator's trigger refuses one message. The others are recorded, and that one too once the trigger allows it.
    @Test func aRefusedRowHoldsUpNoOther() async throws {
        let database = try #require(database)
        try await messages(20, database)
        try await database.text(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.message_sid = '\(Callback.sid(7))' THEN RAISE EXCEPTION 'not this one'; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE UPDATE ON otp.messages FOR EACH ROW EXECUTE FUNCTION public.refuse()
            """)
        let (otpd, port) = try await Otpd.receiver()
        for number in 1...20 { #expect(try Callback(sid: Callback.sid(number), status: "sent").post(to: port) == 200) }
        try await database.becomes("queued|1\nsent|19", Self.statuses)
        try await database.text("DROP TRIGGER refuse ON otp.messages")
        try await database.becomes("sent|20", Self.statuses)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
    }

    /// Stopped while nothing can be recorded: it accepts no more, waits, records, and exits.
    @Test func stoppingWritesWhatWaits() async throws {
        let database = try #require(database)
        try await messages(20, database)
        let (otpd, port) = try await Otpd.receiver()
        let holder = try await database.connect()
        try await holder.text("BEGIN; LOCK TABLE otp.messages IN EXCLUSIVE MODE")
        for number in 1...20 { #expect(try Callback(sid: Callback.sid(number), status: "sent").post(to: port) == 200) }
        otpd.signal(SIGTERM)
        try await otpd.says("received a stop signal")
        _ = try await eventually("nobody listens") {
            (try? Callback(sid: Callback.sid(1), status: "sent").post(to: port)) == nil ? true : nil
        }
        #expect(otpd.ending == nil)
        try await holder.text("ROLLBACK")
        await holder.close()
        #expect(try await otpd.exit() == 0)
        #expect(try await database.text(Self.statuses) == "sent|20")
    }

    @Test func itNeedsNoMoreThanTheWorkersRights() async throws {
        let database = try #require(database)
        try await messages(1, database)
        let role = "receiver_\(getpid())"
        try await database.text("CREATE ROLE \(role) LOGIN PASSWORD 'none' IN ROLE otp_worker")
        let (otpd, port) = try await Otpd.receiver(["PGUSER": role, "PGPASSWORD": "none"])
        #expect(try Callback(sid: Callback.sid(1), status: "sent").post(to: port) == 200)
        try await database.becomes("sent|1", Self.statuses)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        try await database.text("DROP ROLE \(role)")
    }

    @Test func whatIsMissingIsSaidAtOnce() async throws {
        let answer = try await Otpd.command(["callbacks"])
        #expect(answer.code == 78)
        for name in ["TWILIO_AUTH_TOKEN", "OTPD_CALLBACK_LISTEN", "OTPD_CALLBACK_PUBLIC_URL"] {
            #expect(answer.errors.contains(name))
        }
    }
}

@Suite(.emptyDatabase) struct CallbackSchemaTests {
    @Test func withoutTheSchemaItDoesNotStay() async throws {
        let (otpd, _) = try await Otpd.receiver()
        #expect(try await otpd.exit() == 78)
        #expect(otpd.errors.contains("the database has no otp schema. Run otpd migrate up."))
    }
}
