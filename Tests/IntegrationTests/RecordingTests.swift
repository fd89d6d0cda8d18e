import Glibc
import TestSupport
import Testing

/// One row that cannot be written must not delay the others. Real sessions hold locks, and real triggers refuse.
@Suite(.database) struct RecordingTests {
    let database = TestScope.current?.database

    private static let jobs = "SELECT count(*) FROM otp.messages"

    /// Counts every change to `unknown`, so that a brief one is seen too.
    private func watchUnknown(_ database: TestDatabase) async throws {
        try await database.text(
            """
            CREATE TABLE public.unknown_seen (send_job_id bigint);
            CREATE FUNCTION public.saw_unknown() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN INSERT INTO public.unknown_seen VALUES (NEW.id); RETURN NULL; END $$;
            CREATE TRIGGER saw_unknown AFTER UPDATE OF state ON otp.send_jobs FOR EACH ROW
            WHEN (NEW.state = 'unknown') EXECUTE FUNCTION public.saw_unknown()
            """)
    }

    /// Enqueues one job and waits until its request is at Twilio, which answers only after `slow` milliseconds.
    private func jobAtTwilio(_ database: TestDatabase, _ simulator: Simulator, slow: Int) async throws -> String {
        try simulator.faults(#"{"next": [{"fault": "slow"}], "slow_ms": \#(slow)}"#)
        let job = try await database.enqueue("0501234567", subject: "stuck")
        _ = try await eventually("it is at Twilio") { try simulator.stats().concurrent == 1 ? true : nil }
        return job
    }

    /// Waits until the recorder has failed to write the row.
    private func awaitRefusal(_ otpd: Program) async throws {
        try await otpd.says("cannot record the result of a send yet")
    }

    /// Another session holds the row of one job. Thirty others end before that session does.
    @Test func aLockedJobHoldsUpNoOther() async throws {
        let database = try #require(database)
        try await watchUnknown(database)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        let job = try await jobAtTwilio(database, simulator, slow: 1500)
        let holder = try await database.connect()
        try await holder.text("BEGIN; SELECT id FROM otp.send_jobs WHERE id = \(job) FOR UPDATE")
        try await awaitRefusal(otpd)
        try await database.enqueueMany(30)
        try await database.becomes("30", Self.jobs)
        #expect(try await database.text("SELECT state, attempt FROM otp.send_jobs") == "sending|1")
        try await holder.text("ROLLBACK")
        try await database.becomes("31", Self.jobs)
        #expect(try await database.text("SELECT count(*) FROM public.unknown_seen") == "0")
        #expect(try simulator.stats().created == 31)
        await holder.close()
    }

    /// Half of a large batch is locked. The other half is written meanwhile.
    @Test func manyLockedJobsHoldUpNoOther() async throws {
        let database = try #require(database)
        try await watchUnknown(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"rates": {"slow": 1}, "slow_ms": 1500}"#)
        let otpd = try await Otpd.run(simulator, ["OTPD_MAX_IN_FLIGHT": "200"])
        try await database.enqueueMany(40)
        _ = try await eventually("all are at Twilio") { try simulator.stats().concurrent == 40 ? true : nil }
        let holder = try await database.connect()
        try await holder.text("BEGIN; SELECT id FROM otp.send_jobs WHERE id % 2 = 0 FOR UPDATE")
        let locked = try await database.text("SELECT count(*) FROM otp.send_jobs WHERE id % 2 = 0")
        try await database.becomes(locked, "SELECT count(*) FROM otp.send_jobs")
        try await awaitRefusal(otpd)
        try await holder.text("ROLLBACK")
        try await database.becomes("40|0", "SELECT (\(Self.jobs)), (SELECT count(*) FROM public.unknown_seen)")
        #expect(try simulator.stats().created == 40)
        await holder.close()
    }

    /// An operator's trigger refuses one row, with errors of every kind.
    @Test(arguments: ["P0001", "23514", "22003", "XX000", "40P01", "42501", "53400", "55P03", "57014"])
    func aRefusedJobHoldsUpNoOther(sqlstate: String) async throws {
        let database = try #require(database)
        try await watchUnknown(database)
        try await database.text(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF NEW.verification_id = (SELECT id FROM otp.verifications WHERE subject = 'stuck') THEN
                    RAISE EXCEPTION USING ERRCODE = '\(sqlstate)', MESSAGE = 'not this one';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON otp.messages FOR EACH ROW EXECUTE FUNCTION public.refuse()
            """)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        let job = try await database.enqueue("0501234567", subject: "stuck")
        try await awaitRefusal(otpd)
        try await database.enqueueMany(30)
        try await database.becomes("30", Self.jobs)
        #expect(try await database.text("SELECT id, state FROM otp.send_jobs") == "\(job)|sending")
        try await database.text("DROP TRIGGER refuse ON otp.messages")
        try await database.becomes("31|0", "SELECT (\(Self.jobs)), (SELECT count(*) FROM public.unknown_seen)")
        #expect(try simulator.stats().created == 31)
    }

    /// The same for an end without a message, and for one that is still to be written in a drain.
    @Test func aDrainWritesWhatWasSetAside() async throws {
        let database = try #require(database)
        try await watchUnknown(database)
        try await database.text(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'not now'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON otp.unsent_jobs FOR EACH ROW EXECUTE FUNCTION public.refuse()
            """)
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(simulator)
        // Twilio refuses the first for good, and the trigger refuses to record that.
        try simulator.faults(#"{"next": [{"fault": "refuse", "code": 21211}]}"#)
        try await database.enqueue("0501234567", subject: "stuck")
        try await awaitRefusal(otpd)
        try await database.enqueueMany(5)
        try await database.becomes("5", Self.jobs)
        otpd.signal(SIGTERM)
        try await otpd.says("draining")
        #expect(otpd.ending == nil)
        try await database.text("DROP TRIGGER refuse ON otp.unsent_jobs")
        #expect(try await otpd.exit() == 0)
        #expect(
            try await database.text("SELECT state, error_code FROM otp.unsent_jobs") == "failed|21211")
        #expect(try await database.text("SELECT count(*) FROM otp.send_jobs") == "0")
    }
}
