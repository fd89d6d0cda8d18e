import Glibc
import TestSupport
import Testing

/// A schema of one version more than otpd knows, as during an upgrade of several hosts: otpd sends on, and so does one that
/// starts on it.
@Suite(.database) struct SchemaStepTests {
    let database = TestScope.current?.database

    /// A migration as a later release may have it. It adds columns to every table that a send passes through, an index and a
    /// trigger, and replaces a function.
    private static let up = """
        ALTER TABLE otp.send_jobs ADD COLUMN note text;
        ALTER TABLE otp.messages ADD COLUMN note text NOT NULL DEFAULT 'none';
        ALTER TABLE otp.verifications ADD COLUMN note text;
        ALTER TABLE otp.unsent_jobs ADD COLUMN note text;
        ALTER TABLE otp.worker_status ADD COLUMN note text;
        CREATE INDEX messages_note ON otp.messages (note) WHERE note <> 'none';
        CREATE FUNCTION otp.add_note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.note := 'of ' || NEW.attempt;
            RETURN NEW;
        END $$;
        CREATE TRIGGER add_note BEFORE INSERT ON otp.messages FOR EACH ROW EXECUTE FUNCTION otp.add_note();
        DO $$ BEGIN EXECUTE pg_get_functiondef('otp.status_advances'::regproc); END $$
        """
    private static let down = """
        DROP TRIGGER add_note ON otp.messages;
        DROP FUNCTION otp.add_note;
        ALTER TABLE otp.worker_status DROP COLUMN note;
        ALTER TABLE otp.unsent_jobs DROP COLUMN note;
        ALTER TABLE otp.verifications DROP COLUMN note;
        ALTER TABLE otp.messages DROP COLUMN note;
        ALTER TABLE otp.send_jobs DROP COLUMN note;
        DELETE FROM otp.schema_migrations WHERE name = 'notes'
        """

    /// Applies the step in one transaction, and names the oldest program that it serves.
    private func apply(serving program: String) async throws {
        let database = try #require(database)
        try await database.text(
            """
            BEGIN;
            \(Self.up);
            INSERT INTO otp.schema_migrations (version, name, oldest_program)
            SELECT max(version) + 1, 'notes', \(program) FROM otp.schema_migrations;
            COMMIT
            """)
    }

    /// Waits until `count` jobs have ended, and checks that each sent one message.
    private func sends(_ count: Int, _ simulator: Simulator) async throws {
        let database = try #require(database)
        try await database.becomes(
            "\(count)|\(count)", "SELECT count(*), count(DISTINCT send_job_id) FROM otp.messages WHERE is_primary")
        #expect(try simulator.stats().created == count)
        #expect(try await database.text("SELECT count(*) FROM otp.unsent_jobs") == "0")
    }

    @Test func aStepUnderLoadAndBackStopsNoSend() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let first = try await Otpd.run(simulator)
        try await database.enqueueMany(50)
        try await apply(serving: "max(version)")
        try await database.enqueueMany(50, from: 51)
        try await sends(100, simulator)

        // A worker of the older version starts on the newer schema, beside the first one and then alone.
        let second = try await Otpd.run(simulator)
        try await database.enqueueMany(50, from: 101)
        first.signal(SIGTERM)
        #expect(try await first.exit(within: .seconds(60)) == 0)
        try await database.enqueueMany(50, from: 151)
        try await sends(200, simulator)
        // The first worker may have given jobs back, so an attempt may be the second.
        #expect(
            try await database.text("SELECT bool_and(note = 'of ' || attempt) FROM otp.messages WHERE note <> 'none'")
                == "t")
        let check = try await Otpd.command(["migrate", "check"])
        #expect(check.code == 0, "\(check.errors)")
        #expect(check.output.contains("serves this otpd, too"), "\(check.output)")
        let up = try await Otpd.command(["migrate", "up"])
        #expect(up.code == 0, "\(up.errors)")
        #expect(up.output.contains("There was nothing to do"), "\(up.output)")
        #expect(try await Otpd.command(["migrate", "down"]).code == 78, "only a newer otpd has the way back")

        // And back, while it runs.
        try await database.enqueueMany(50, from: 201)
        try await database.text("BEGIN; \(Self.down); COMMIT")
        try await database.enqueueMany(50, from: 251)
        try await sends(300, simulator)
        #expect(!(first.errors + second.errors).contains("\"level\":\"error\""), "\(first.errors)\(second.errors)")
    }

    @Test func aStepThatServesNoOlderProgramLetsRunningWorkersContinueAndNoneStart() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await apply(serving: "max(version) + 1")
        try await database.enqueueMany(20)
        try await sends(20, simulator)
        let late = try await Otpd.run(simulator, awaitsConnection: false)
        #expect(try await late.exit() == 78)
        #expect(late.errors.contains("newer (migration"), "\(late.errors)")
    }

    /// A table in use is waited for in short tries, between which sends continue.
    @Test func aStepWaitsForATableInUseAndSendsContinue() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        let reader = try await database.connect()
        try await reader.text("BEGIN; LOCK TABLE otp.schema_migrations IN SHARE MODE")
        let scope = try #require(TestScope.current)
        let down = try scope.start(
            BuildFolder.executable("otpd"), ["migrate", "down"],
            environment: Otpd.databaseEnvironment())
        try await down.says("waiting for a table that session")
        try await database.enqueueMany(20)
        try await sends(20, simulator)
        #expect(down.ending == nil)
        try await reader.text("COMMIT")
        #expect(try await down.exit(within: .seconds(60)) == 0, "\(down.errors)")
        #expect(down.errors.contains("of role"), "\(down.errors)")
        await reader.close()
    }
}
