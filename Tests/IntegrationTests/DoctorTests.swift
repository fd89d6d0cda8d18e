import Glibc
import Queue
import TestSupport
import Testing

/// `otpd doctor` as a process: everything right, then one thing broken at a time. The tests run one after the other,
/// because all databases see the receivers that stream from the server.
@Suite(.database, .serialized) struct DoctorTests {
    let database = TestScope.current?.database

    /// The test's server runs without fsync, which is a warning. No country has a sender of its own.
    private static let always = ["durability": "warn"]
    private static let quiet = always.merging(["workers": "warn", "callback-url": "skip"]) { $1 }

    private func neutralCountries() async throws {
        try await database?.text("DELETE FROM otp.countries; INSERT INTO otp.countries (region) VALUES ('AE')")
    }

    @Test func allIsWell() async throws {
        try await neutralCountries()
        let simulator = try await Simulator.start()
        let port = try Loopback.freePort()
        try await DoctorRole.with { role in
            let environment = try DoctorRole.environment(
                role, simulator.url,
                [
                    "OTPD_CALLBACK_LISTEN": "127.0.0.1:\(port)",
                    "OTPD_CALLBACK_PUBLIC_URL": "http://127.0.0.1:\(port)/twilio/status",
                ])
            let scope = try #require(TestScope.current)
            let otpd = try scope.start(BuildFolder.executable("otpd"), ["run"], environment: environment)
            try await otpd.says(Otpd.isConnected)
            try await otpd.says(Otpd.isReceiving)
            try await database?.becomes("1", "SELECT workers_alive FROM otp.queue_status")
            let doctor = try await Doctor.examine(environment)
            #expect(doctor.troubles == Self.always, "\(doctor.findings)")
            #expect(doctor.code == 0)
            #expect(try doctor.finding("callback-url").found.contains("The receiver of otpd answers."))
            #expect(try doctor.finding("login-role").found.contains(role))

            // The output for people is ASCII, because it does not go to a terminal.
            let text = try await Otpd.command(["doctor"], environment: environment)
            #expect(text.code == 0)
            #expect(text.output.utf8.allSatisfy { $0 == 0x0A || (0x20..<0x7F).contains($0) })
            #expect(text.output.contains("\nok    LISTEN"))
            #expect(text.output.contains("\nwarn  Durability"))
            #expect(text.output.contains("\n        -> In psql as a superuser: ALTER SYSTEM SET fsync = on;"))
            #expect(text.output.contains("\n0 failed, 1 with a warning, "))
            #expect(try simulator.stats().creates == 0)
        }
    }

    /// Everything that it does to the database is possible in read-only transactions.
    @Test func nothingIsChanged() async throws {
        try await neutralCountries()
        let simulator = try await Simulator.start()
        try await DoctorRole.with { role in
            let doctor = try await Doctor.examine(
                DoctorRole.environment(role, simulator.url, ["PGOPTIONS": "-c default_transaction_read_only=on"]))
            #expect(doctor.troubles == Self.quiet, "\(doctor.findings)")
            #expect(try simulator.stats().creates == 0)
        }
    }

    // MARK: Settings and files

    @Test func brokenSettingsHideNothingElse() async throws {
        try await neutralCountries()
        let simulator = try await Simulator.start()
        let environment = try Otpd.environment(
            simulator.url, ["OTPD_SECRET": nil, "OTPD_MAX_IN_FLIGHT": "many", "OTPD_APP_NAME": nil])
        let doctor = try await Doctor.examine(environment)
        #expect(doctor.code == 78)
        #expect(doctor.findings.filter { $0.id == "settings" }.map(\.verdict) == ["fail", "fail", "fail"])
        #expect(
            doctor.troubles
                == Self.quiet.merging([
                    "settings": "fail", "login-role": "warn", "secret-agrees": "skip",
                    "template-segments": "skip",
                ]) { $1 }, "\(doctor.findings)")

        let noTwilio = try await Doctor.examine(Otpd.environment(simulator.url, ["TWILIO_AUTH_TOKEN": nil]))
        #expect(noTwilio.code == 78)
        #expect(noTwilio.troubles["twilio-messages"] == "skip")
        #expect(noTwilio.troubles["schema"] == nil)
    }

    @Test func aSecretThatEverybodyMayRead() async throws {
        let simulator = try await Simulator.start()
        let folder = try Files.makeFolder()
        let path = folder + "/token"
        defer {
            unlink(path)
            rmdir(folder)
        }
        try Files.write(Simulator.authToken + "\n", to: path)
        chmod(folder, 0o755)
        let environment = try Otpd.environment(
            simulator.url, ["TWILIO_AUTH_TOKEN": nil, "TWILIO_AUTH_TOKEN_FILE": path])
        chmod(path, 0o644)
        let open = try await Doctor.examine(environment)
        #expect(open.code == 77)
        #expect(open.troubles["secret-files"] == "fail")
        #expect(try open.finding("secret-files").remedy?.contains("chmod o-r \"\(path)\"") == true)
        #expect(open.troubles["twilio-messages"] == nil)
        chmod(path, 0o600)
        let closed = try await Doctor.examine(environment)
        #expect(closed.code == 0)
        #expect(closed.troubles["secret-files"] == nil)
    }

    // MARK: Twilio

    @Test func aWrongToken() async throws {
        let simulator = try await Simulator.start()
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url, ["TWILIO_AUTH_TOKEN": "wrong"]))
        #expect(doctor.code == 77)
        #expect(doctor.troubles["twilio-account"] == "fail" && doctor.troubles["twilio-messages"] == "fail")
        #expect(try doctor.finding("twilio-messages").found.contains("401"))
        #expect(doctor.troubles["schema"] == nil && doctor.troubles["listen"] == nil)
    }

    @Test func theAccountAndItsNumbers() async throws {
        try await neutralCountries()
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"account_type": "Trial"}"#)
        let trial = try await Doctor.examine(Otpd.environment(simulator.url, ["TWILIO_PHONE_NUMBER": "+15005550007"]))
        #expect(trial.code == 78)
        #expect(trial.troubles["twilio-account"] == "warn")
        #expect(try trial.finding("twilio-sender").found.contains("this number cannot send SMS"))
        try simulator.faults(#"{"account_status": "suspended"}"#)
        let foreign = try await Doctor.examine(Otpd.environment(simulator.url, ["TWILIO_PHONE_NUMBER": "+15005550001"]))
        #expect(foreign.code == 78)
        #expect(try foreign.finding("twilio-account").found.contains("suspended"))
        #expect(try foreign.finding("twilio-messages").found.contains("20005"))
        #expect(try foreign.finding("twilio-sender").found.contains("does not have +1500****001"))
    }

    @Test func sendersOfCountries() async throws {
        let simulator = try await Simulator.start()
        try await database?.text(
            """
            UPDATE otp.countries SET sender = 'Mgask' WHERE region = 'SA';
            INSERT INTO otp.countries (region, sender) VALUES ('AE', '+15005550001'), ('BH', '12345'), ('KW', NULL)
            """)
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url))
        let senders = doctor.findings.filter { $0.id == "twilio-sender" }
        #expect(senders.map(\.verdict) == ["pass", "fail", "pass", "skip"], "\(senders)")
        #expect(senders[0].found.contains("for KW") && senders[1].found.contains("for AE"))
        #expect(senders[3].remedy?.contains("guidelines/sa") == true)
        #expect(doctor.code == 78)
    }

    @Test func twilioDoesNotAnswer() async throws {
        let nobody = try Loopback.closedPort()
        let doctor = try await Doctor.examine(Otpd.environment("http://127.0.0.1:\(nobody)"))
        #expect(doctor.code == 69)
        #expect(doctor.troubles["twilio-messages"] == "fail")
        #expect(doctor.troubles["grants"] == nil)
    }

    @Test func callbacksThatLeadElsewhere() async throws {
        let simulator = try await Simulator.start()
        let (_, port) = try await Otpd.receiver()
        func examine(_ url: String) async throws -> Doctor {
            try await Doctor.examine(Otpd.environment(simulator.url, ["OTPD_CALLBACK_PUBLIC_URL": url]))
        }
        let right = try await examine("http://127.0.0.1:\(port)/twilio/status")
        #expect(right.troubles["callback-url"] == nil)
        let wrong = try await examine("http://127.0.0.1:\(port)/elsewhere")
        #expect(wrong.code == 78)
        #expect(try wrong.finding("callback-url").found.contains("404"))
        let nobody = try await examine("http://127.0.0.1:\(Loopback.closedPort())/x")
        #expect(nobody.code == 69)
        #expect(nobody.troubles["callback-url"] == "fail")
    }

    // MARK: The database

    @Test func theDatabaseIsAway() async throws {
        let simulator = try await Simulator.start()
        let doctor = try await Doctor.examine(
            Otpd.environment(simulator.url, ["PGPORT": "\(Loopback.closedPort())"]))
        #expect(doctor.code == 69)
        #expect(doctor.troubles["database-connection"] == "fail")
        #expect(doctor.troubles["schema"] == "skip" && doctor.troubles["template-segments"] == "skip")
        #expect(doctor.troubles["twilio-messages"] == nil && doctor.troubles["twilio-account"] == nil)
    }

    /// Both accept connections but never answer. doctor ends all the same, and reports everything that it could check.
    @Test func nobodyAnswers() async throws {
        let (database, databasePort) = try Loopback.listen()
        let (twilio, twilioPort) = try Loopback.listen()
        defer { for descriptor in [database, twilio] { close(descriptor) } }
        let doctor = try await Doctor.examine(
            Otpd.environment("http://127.0.0.1:\(twilioPort)", ["PGPORT": "\(databasePort)", "PGHOST": "127.0.0.1"]))
        #expect(doctor.code == 69)
        #expect(try doctor.finding("database-connection").found.contains("no answer"))
        #expect(try doctor.finding("twilio-messages").found.contains("does not answer in time"))
        #expect(doctor.troubles["settings"] == nil)
    }

    @Test func theRemedyForAMissingGrantMendsIt() async throws {
        let database = try #require(database)
        try await neutralCountries()
        let simulator = try await Simulator.start()
        try await DoctorRole.with { role in
            let environment = try DoctorRole.environment(role, simulator.url)
            try await database.text(
                """
                REVOKE SELECT ON otp.templates FROM otp_worker;
                REVOKE SELECT (e164) ON otp.verifications FROM otp_worker;
                REVOKE EXECUTE ON FUNCTION otp.prune FROM otp_worker
                """)
            let broken = try await Doctor.examine(environment)
            #expect(broken.code == 77)
            #expect(
                broken.troubles
                    == Self.quiet.merging([
                        "grants": "fail", "template-locales": "skip", "template-segments": "skip",
                    ]) { $1 }, "\(broken.findings)")
            #expect(try broken.finding("grants").found.contains("lacks 3 "))
            let remedy = try #require(broken.finding("grants").remedy)
            let statements = try #require(remedy.firstIndex(of: ":"))
            try await database.text(String(remedy[remedy.index(after: statements)...]))
            let mended = try await Doctor.examine(environment)
            #expect(mended.troubles == Self.quiet, "\(mended.findings)")
            #expect(mended.code == 0)
        }
    }

    @Test func theSchemaItselfMayBeClosed() async throws {
        let simulator = try await Simulator.start()
        try await DoctorRole.with { role in
            try await database?.text("REVOKE USAGE ON SCHEMA otp FROM otp_worker")
            let doctor = try await Doctor.examine(DoctorRole.environment(role, simulator.url))
            #expect(doctor.code == 77)
            #expect(doctor.findings.filter { $0.verdict == "fail" }.map(\.id) == ["grants"], "\(doctor.findings)")
        }
    }

    @Test func rolesThatHaveTooLittleOrTooMuch() async throws {
        let simulator = try await Simulator.start()
        func loginRole(_ membership: String) async throws -> (String, Int32) {
            nonisolated(unsafe) var found = ("", Int32(-1))
            try await DoctorRole.with(membership) { role in
                let doctor = try await Doctor.examine(DoctorRole.environment(role, simulator.url))
                found = (try doctor.finding("login-role").verdict, doctor.code)
            }
            return found
        }
        #expect(try await loginRole("") == ("fail", 77))
        #expect(try await loginRole("IN ROLE otp_worker NOINHERIT") == ("fail", 77))
        #expect(try await loginRole("IN ROLE otp_worker, otp_owner") == ("warn", 0))
        #expect(try await loginRole("IN ROLE otp_worker, pg_read_all_data") == ("warn", 0))
        #expect(try await loginRole("IN ROLE otp_worker") == ("pass", 0))
    }

    @Test func anotherSchema() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("INSERT INTO otp.schema_migrations (version, name) VALUES (99, 'future')")
        let newer = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(newer.code == 78)
        #expect(try newer.finding("schema").found.contains("migration 99"))
        #expect(try await Otpd.command(["migrate", "down", "--to", "0", "--yes"]).code == 78)
        try await database.text("DELETE FROM otp.schema_migrations WHERE version = 99")
        #expect(try await Otpd.command(["migrate", "down", "--to", "0", "--yes"]).code == 0)
        let absent = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(absent.code == 78)
        #expect(absent.findings.filter { $0.verdict == "fail" }.map(\.id) == ["schema"], "\(absent.findings)")
    }

    @Test func aSecretInTheCatalog() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await DoctorRole.with { role in
            let environment = try DoctorRole.environment(role, simulator.url)
            try await database.text(
                "ALTER ROLE \(role) IN DATABASE \(database.name) SET otp.secret = '\(TestDatabase.secret)'")
            let stored = try await Doctor.examine(environment)
            #expect(stored.code == 78)
            let finding = try stored.finding("secret-stored")
            #expect(finding.verdict == "fail" && finding.found.contains(role))
            let remedy = "ALTER ROLE \(role) IN DATABASE \(database.name) RESET otp.secret;"
            #expect(finding.remedy?.contains(remedy) == true)
            try await database.text(remedy)
            #expect(try await Doctor.examine(environment).code == 0)
        }
    }

    @Test func codesUnderAnotherSecret() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.enqueue("0501234567")
        let agreed = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(agreed.troubles["secret-agrees"] == nil)
        let other = String(repeating: "another-secret_", count: 3)
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url, ["OTPD_SECRET": other]))
        #expect(doctor.troubles["secret-agrees"] == "warn")
        #expect(try doctor.finding("secret-agrees").found.contains("1 of 1"))
        // The remedy compares the digits of the rows' key ids.
        let digits = try #require(TestScope.current).start(
            "sh", ["-c", "printf 'otp key id %s' \"$OTPD_SECRET\" | sha256sum | cut -c1-16"],
            environment: Environment.base.merging(["OTPD_SECRET": TestDatabase.secret]) { $1 })
        #expect(try await digits.exit() == 0)
        #expect(
            try await database.text("SELECT DISTINCT key_id FROM otp.verifications")
                == digits.output.split(separator: "\n").first.map(String.init))
        let rotating = try await Doctor.examine(
            Otpd.environment(
                simulator.url, ["OTPD_SECRET": other, "OTPD_SECRET_PREVIOUS": TestDatabase.secret]))
        #expect(rotating.troubles["secret-agrees"] == nil)
    }

    @Test func textsThatAreTooLong() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("UPDATE otp.templates SET web_otp_host = 'login.example.com' WHERE locale = 'ar'")
        let two = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(two.code == 0)
        #expect(two.troubles["template-segments"] == "warn")
        #expect(try two.finding("template-segments").found.contains("2 segments"))

        try await database.text("UPDATE otp.templates SET body = repeat('{app}', 190) || '{code}' WHERE locale = 'en'")
        let changes = ["OTPD_APP_NAME": "A name of 20 letters"]
        let refused = try await Doctor.examine(Otpd.environment(simulator.url, changes))
        #expect(refused.code == 78)
        #expect(refused.findings.contains { $0.verdict == "fail" && $0.found.contains("1600") })
        // And a worker does not even try.
        let otpd = try await Otpd.run(simulator, changes)
        try await database.enqueue("0501234567")
        try await database.becomes(
            "failed|t|t",
            """
            SELECT job_state, error LIKE '%longer than the 1600 characters%', remedy LIKE '%phone_verification, en%'
              FROM otp.delivery_status
            """)
        #expect(try simulator.stats().creates == 0)
        try await database.text("UPDATE otp.templates SET body = 'Your code: {code}' WHERE locale = 'en'")
        try await otpd.says("reloaded templates, senders, error classes, pauses and rates")
        try await database.enqueue("0501234568")
        try await database.becomes("1", "SELECT count(*) FROM otp.messages")
    }

    @Test func pausesAndTimeZones() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        #expect(try await Otpd.command(["pause", "--country", "SA", "--reason", "carrier is down"]).code == 0)
        // Written around the trigger, or of a time zone that a newer server does not know.
        try await database.text(
            """
            ALTER TABLE otp.settings DISABLE TRIGGER before_write;
            UPDATE otp.settings SET timezone = 'Asia/Nowhere'
            """)
        try await database.text("ALTER TABLE otp.settings ENABLE TRIGGER before_write")
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(doctor.code == 78)
        #expect(try doctor.finding("pauses").found.contains("carrier is down"))
        #expect(try doctor.finding("pauses").remedy?.contains("otpd resume --country SA") == true)
        #expect(doctor.troubles["time-zone"] == "fail")
        #expect(doctor.troubles["template-locales"] == nil)
        #expect(doctor.troubles["phone-numbers"] == nil)
    }

    @Test func anOldTableOfPhoneNumbers() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text("UPDATE otp.number_table SET released_on = released_on - 4000")
        #expect(try await Doctor.examine(Otpd.environment(simulator.url)).troubles["phone-numbers"] == "warn")
        try await database.text("UPDATE otp.number_table SET version = '8.12.57'")
        let older = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(older.troubles["phone-numbers"] == "warn")
        #expect(try older.finding("phone-numbers").remedy?.contains("otpd migrate up") == true)
        try await database.text("DELETE FROM otp.number_table")
        #expect(try await Doctor.examine(Otpd.environment(simulator.url)).troubles["phone-numbers"] == "fail")
    }

    /// Every receiver that streams from the server counts as a standby. pg_receivewal does too, and is quicker to
    /// start.
    @Test func anAsynchronousStandby() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let folder = try ScratchFolder.shared.get() + "/wal-\(database.name)"
        #expect(mkdir(folder, 0o700) == 0)
        defer {
            for name in Files.list(folder) { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        let standby = try #require(TestScope.current).start(
            "pg_receivewal", ["-D", folder, "--no-loop"], environment: Environment.base)
        try await database.becomes(
            "streaming", "SELECT state FROM pg_stat_replication WHERE application_name = 'pg_receivewal'")
        let doctor = try await Doctor.examine(Otpd.environment(simulator.url))
        #expect(doctor.code == 0)
        #expect(doctor.troubles["standby"] == "warn")
        #expect(try doctor.finding("standby").remedy?.contains("FIRST 1 (pg_receivewal)") == true)
        // Roles that may not see the details also see that there is one.
        try await DoctorRole.with { role in
            let doctor = try await Doctor.examine(DoctorRole.environment(role, simulator.url))
            #expect(doctor.troubles["standby"] == "warn")
        }
        standby.end()
        try await database.becomes("0", "SELECT count(*) FROM pg_stat_replication")
    }

    /// Every grant of the schema to workers is checked, and no other.
    @Test func theGrantsAreThoseOfTheSchema() async throws {
        let database = try #require(database)
        let given = try await database.text(
            """
            SELECT x FROM (
                SELECT 'GRANT ' || a.privilege_type || ' ON SCHEMA otp TO otp_worker' AS x
                  FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'otp' AND a.grantee = 'otp_worker'::regrole
                UNION ALL
                SELECT 'GRANT ' || a.privilege_type || ' ON ' || CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END
                       || 'otp.' || c.relname || ' TO otp_worker'
                  FROM pg_class c, aclexplode(c.relacl) a
                 WHERE c.relnamespace = 'otp'::regnamespace AND a.grantee = 'otp_worker'::regrole
                UNION ALL
                SELECT 'GRANT ' || a.privilege_type || ' (' || t.attname || ') ON otp.' || c.relname || ' TO otp_worker'
                  FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
                 WHERE c.relnamespace = 'otp'::regnamespace AND a.grantee = 'otp_worker'::regrole
                UNION ALL
                SELECT DISTINCT 'GRANT EXECUTE ON FUNCTION otp.' || p.proname || ' TO otp_worker'
                  FROM pg_proc p, aclexplode(p.proacl) a
                 WHERE p.pronamespace = 'otp'::regnamespace AND a.grantee = 'otp_worker'::regrole) g
             ORDER BY x COLLATE "C"
            """)
        #expect(given.split(separator: "\n").map(String.init) == WorkerGrant.all.map(\.statement).sorted())
    }
}
