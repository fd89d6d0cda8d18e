import Queue
import TestSupport
import Testing

/// otpd in databases with changed settings, rights or sequences.
@Suite(.database) struct HardenedDatabaseTests {
    let database = TestScope.current?.database

    private func set(_ settings: [(String, String)]) async throws {
        let database = try #require(database)
        for (name, value) in settings {
            try await database.text("ALTER DATABASE \(database.name) SET \(name) = \(value)")
        }
    }

    /// Every setting that could disturb a worker or a command, all together.
    @Test func settingsOfTheDatabaseDisturbNothing() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await set([
            ("standard_conforming_strings", "off"), ("array_nulls", "off"), ("transform_null_equals", "on"),
            ("DateStyle", "'German, DMY'"), ("IntervalStyle", "sql_standard"), ("bytea_output", "escape"),
            ("extra_float_digits", "-15"), ("client_encoding", "LATIN1"), ("search_path", "pg_temp, public"),
            ("default_transaction_isolation", "serializable"), ("default_transaction_read_only", "on"),
            ("default_transaction_deferrable", "on"), ("statement_timeout", "'2s'"), ("lock_timeout", "'2s'"),
            ("synchronous_commit", "off"), ("enable_indexscan", "off"), ("plan_cache_mode", "force_custom_plan"),
            ("TimeZone", "'Asia/Kathmandu'"),
        ])
        let otpd = try await Otpd.run(simulator)
        try await database.enqueue("0501234567", locale: "ar")
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")
        try await set([("statement_timeout", "0")])
        let status = try await Otpd.command(["status", "--json"])
        #expect(status.code == 0, "\(status.errors)")
        let jobs = try await Otpd.command(["jobs", "list", "--json"])
        #expect(jobs.code == 0 && jobs.output.contains("delivered"), "\(jobs.errors)\(jobs.output)")
        #expect(!otpd.errors.contains("Z error "), "\(otpd.errors)")
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(doctor.troubles["stored-settings"] == "warn")
        #expect(
            try doctor.finding("stored-settings").remedy?.contains(
                "ALTER DATABASE \(database.name) RESET default_transaction_read_only;") == true)
        // All migrations down and up again, with these settings.
        otpd.end()
        let down = try await Otpd.command(["migrate", "down", "--to", "0", "--yes"])
        #expect(down.code == 0, "\(down.errors)")
        let up = try await Otpd.command(["migrate", "up"])
        #expect(up.code == 0, "\(up.errors)")
    }

    /// A server that ends idle sessions does not end a worker's. If a session is ended all the same, that is not an
    /// error.
    @Test func idleSessionsAreNoErrors() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await set([("idle_session_timeout", "'50ms'")])
        let otpd = try await Otpd.run(simulator)
        try await otpd.says("connected to the database (session for results)")
        // Both sessions are idle for longer than the server allows. A slow machine may need more than 50 ms before a
        // session's first statement, and then lose it once.
        try await database.becomes(
            "t",
            """
            SELECT count(*) >= 2 FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'otpd' AND state = 'idle'
               AND clock_timestamp() - state_change > interval '200 ms'
            """)
        try await database.text(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'otpd'
            """)
        try await database.enqueue("0501234567")
        try await database.becomes("1", "SELECT count(*) FROM otp.messages")
        #expect(otpd.errors.contains("a connection to the database ended; opening another"))
        #expect(!otpd.errors.contains("cannot reach the database"), "\(otpd.errors)")
    }

    /// Numbers in use are not given out again, because a worker advances the sequences when it connects.
    @Test func sequencesBehindTheHistory() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let first = try await database.enqueue("0501234567")
        let number = try #require(Int(first)) + 500
        try await database.text(
            """
            INSERT INTO otp.unsent_jobs (send_job_id, verification_id, state, attempts, requested_at)
            VALUES (\(number), 1, 'failed', 1, now())
            """)
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(doctor.code == 78)
        #expect(doctor.troubles["sequences"] == "fail")
        #expect(
            try doctor.finding("sequences").remedy?.contains("SELECT setval('otp.send_jobs_id_seq', \(number));")
                == true)
        let otpd = try await Otpd.run(simulator)
        #expect(otpd.errors.contains("otp.send_jobs_id_seq was at"), "\(otpd.errors)")
        #expect(try await database.enqueue("0501234568") == "\(number + 1)")
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
        #expect(try await Doctor.examine(Otpd.environment(simulator.url)).troubles["sequences"] == nil)
    }

    /// Rights that were revoked after the migration are named, and the remedy restores them.
    @Test func rightsThatWereTakenAway() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let environment = try Otpd.environment(simulator.url)
        #expect(try await Doctor.examine(environment).troubles["schema-rights"] == nil)
        try await database.text(
            """
            REVOKE EXECUTE ON FUNCTION hmac(bytea, bytea, text) FROM PUBLIC;
            ALTER TABLE otp.send_jobs ENABLE ROW LEVEL SECURITY;
            REVOKE EXECUTE ON FUNCTION otp.verify FROM otp_web
            """)
        let broken = try await Doctor.examine(environment)
        #expect(broken.code == 77)
        #expect(broken.troubles["schema-rights"] == "fail")
        #expect(try broken.finding("grants").found.contains("otp_web lacks 1 "))
        for id in ["schema-rights", "grants"] {
            let remedy = try #require(broken.finding(id).remedy)
            let statements = try #require(remedy.firstIndex(of: ":"))
            try await database.text(String(remedy[remedy.index(after: statements)...]))
        }
        let mended = try await Doctor.examine(environment)
        #expect(mended.troubles["schema-rights"] == nil && mended.troubles["grants"] == nil, "\(mended.findings)")
    }

    /// If an event trigger refuses a migration, the error names the trigger.
    @Test func eventTriggersAreNamed() async throws {
        let database = try #require(database)
        #expect(try await Otpd.command(["migrate", "down", "--to", "0", "--yes"]).code == 0)
        try await database.text(
            """
            CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'no tables here' USING ERRCODE = '42501'; END $$;
            CREATE EVENT TRIGGER no_tables ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse()
            """)
        let answer = try await Otpd.command(["migrate", "up"])
        #expect(answer.code == 77)
        #expect(answer.errors.contains("no tables here") && answer.errors.contains("no_tables"), "\(answer.errors)")
    }
}
