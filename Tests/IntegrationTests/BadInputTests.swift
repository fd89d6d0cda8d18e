import Glibc
import Postgres
import TestSupport
import Testing

/// Invalid settings, schemas and rows: a clear error, nothing lost, nothing crashed.
@Suite(.database) struct BadInputTests {
    let database = TestScope.current?.database

    @Test func everyMissingSettingIsNamedAtOnce() async throws {
        let answer = try await Otpd.command(["run"])
        #expect(answer.code == 78)
        let lines = answer.errors.split(separator: "\n").map(String.init)
        #expect(
            lines.contains(
                "otpd: SMS service not configured: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER "
                    + "are not set"
            ))
        #expect(lines.contains { $0.contains("OTPD_SECRET ") })
        #expect(lines.contains { $0.contains("OTPD_APP_NAME ") })
        #expect(lines.count == 3, "\(answer.errors)")
        #expect(answer.output.isEmpty)
    }

    @Test func oneMissingTwilioSettingSaysTheLine() async throws {
        let answer = try await Otpd.command(
            ["run"], environment: Otpd.environment("http://127.0.0.1:9", ["TWILIO_AUTH_TOKEN": nil]))
        #expect(answer.code == 78)
        #expect(answer.errors == "otpd: SMS service not configured: TWILIO_AUTH_TOKEN is not set\n")
    }

    @Test(arguments: [
        ("TWILIO_AUTH_TOKEN", " simulator-auth-token"), ("OTPD_SECRET", "too-short"), ("OTPD_MAX_IN_FLIGHT", "many"),
        ("TWILIO_ACCOUNT_SID", "AC123"), ("TWILIO_API_BASE_URL", "http://example.com"), ("OTPD_LOG_LEVEL", "loud"),
        ("TWILIO_PHONE_NUMBER", "0501234567"), ("DATABASE_URL", "postgres://[half"),
    ])
    func aSettingThatCannotBeUsedIsNamed(name: String, value: String) async throws {
        let answer = try await Otpd.command(
            ["run"], environment: Otpd.environment("http://127.0.0.1:9", [name: value]))
        #expect(answer.code == 78)
        #expect(answer.errors.contains(name), "\(answer.errors)")
        #expect(answer.errors.split(separator: "\n").count == 1, "\(answer.errors)")
        if name.hasSuffix("TOKEN") || name.hasSuffix("SECRET") { #expect(!answer.errors.contains(value)) }
    }

    /// After a 401 the worker pauses and reports it. Jobs wait, and the worker resumes by itself when the token is
    /// right.
    @Test func wrongCredentialsPauseTheWorkerAndLoseNothing() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try simulator.faults(#"{"auth_token": "another-token"}"#)
        let otpd = try await Otpd.run(simulator)
        for index in 1...5 { try await database.enqueue("050123456\(index)") }
        try await otpd.says("paused: nothing is sent, jobs wait")
        try await database.becomes(
            "paused|t|t|1|1",
            """
            SELECT state, reason <> '', remedy <> '', jsonb_array_length(q.paused),
                   (q.paused @> jsonb_build_array(jsonb_build_object('reason', w.reason, 'remedy', w.remedy)))::int
              FROM otp.worker_status w, otp.queue_status q
            """)
        let check = try await Otpd.command(["status", "--check"])
        #expect(check.code == 69)
        #expect(check.errors.contains("paused"))
        try await database.becomes(
            "queued|5|t", "SELECT job_state, count(*), bool_and(error <> '') FROM otp.delivery_status GROUP BY 1")
        let refusedBefore = try simulator.stats().unauthorized
        #expect(refusedBefore >= 1)

        try simulator.faults(#"{"auth_token": "\#(Simulator.authToken)"}"#)
        try await database.becomes(
            "accepted|5", within: .seconds(40), "SELECT job_state, count(*) FROM otp.delivery_status GROUP BY 1")
        try await otpd.says("resumed")
        try await database.becomes("running||", "SELECT state, reason, remedy FROM otp.worker_status")
        let stats = try simulator.stats()
        #expect(stats.created == 5)
        #expect(stats.numbersRepeated == 0)
        // One probe at a time, at growing intervals, instead of a flood of refused requests.
        #expect(stats.unauthorized <= 5 + 4)
        #expect(try await Otpd.command(["status", "--check"]).code == 0)
    }

    @Test func aDatabaseThatComesLaterIsWaitedFor() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let port = try Loopback.freePort()
        let socket = try NotifySocket()
        let otpd = try await Otpd.run(
            simulator, ["PGHOST": "127.0.0.1", "PGPORT": "\(port)", "NOTIFY_SOCKET": socket.name],
            awaitsConnection: false)
        try await otpd.says("cannot reach the database")
        #expect(socket.messages.contains { $0.contains("READY=1") })
        try await database.enqueue("0501234567")
        try await stays("it runs and says it once per connection", for: .seconds(2)) {
            otpd.ending == nil && otpd.errors.components("cannot reach the database") <= 2
        }
        let proxy = try TCPProxy(port: port, to: PostgresServer.port())
        defer { proxy.stop() }
        try await otpd.says(Otpd.isConnected, within: .seconds(40))
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        // The same when it goes away and comes back.
        proxy.cut()
        try await database.enqueue("0501234568")
        try await database.becomes(
            "2", within: .seconds(40), "SELECT count(*) FROM otp.delivery_status WHERE job_state = 'accepted'")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(try simulator.stats().created == 2)
    }

    @Test func aRoleThatMayNotIsToldSoAndWorksOnceItMay() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let role = "worker_\(database.name)"
        try await database.text("CREATE ROLE \(role) LOGIN PASSWORD 'x'")
        let otpd = try await Otpd.run(simulator, ["PGUSER": role, "PGPASSWORD": "x"], awaitsConnection: false)
        try await otpd.says("the database refuses this role")
        #expect(!otpd.errors.contains("cannot reach the database"))
        try await database.text("GRANT otp_worker TO \(role)")
        try await otpd.says(Otpd.isConnected, within: .seconds(40))
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        try await database.text("DROP ROLE \(role)")
    }

    @Test func anUnreachableDatabaseDoesNotHoldUpLeaving() async throws {
        let simulator = try await Simulator.start()
        let otpd = try await Otpd.run(
            simulator, ["PGHOST": "127.0.0.1", "PGPORT": "\(try Loopback.closedPort())"], awaitsConnection: false)
        try await otpd.says("cannot reach the database")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit(within: .seconds(5)) == 0)
        let status = try await Otpd.command(
            ["status"], environment: Otpd.databaseEnvironment().merging(["PGPORT": "1"]) { $1 })
        #expect(status.code == 69)
        #expect(status.errors.split(separator: "\n").count == 1)
    }

    @Test(arguments: [
        ("DROP SCHEMA otp CASCADE", "has no otp schema"),
        ("INSERT INTO otp.schema_migrations (version, name) VALUES (99, 'future')", "newer (migration 99)"),
        (
            "DELETE FROM otp.schema_migrations WHERE version = (SELECT max(version) FROM otp.schema_migrations)",
            "behind"
        ),
        ("UPDATE otp.schema_migrations SET checksum = 'x' WHERE version = 2", "migration 2 (settings)"),
    ])
    func aSchemaThatDoesNotFitIsRefused(sql: String, words: String) async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.text(sql)
        let otpd = try await Otpd.run(simulator, awaitsConnection: false)
        #expect(try await otpd.exit() == 78)
        #expect(otpd.errors.contains(words), "\(otpd.errors)")
        let check = try await Otpd.command(["migrate", "check"])
        #expect(check.code == 78)
        #expect(check.errors.contains(words), "\(check.errors)")
    }

    @Test func aTextThatWasDeletedHoldsUpItsJobsAndNoOthers() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await database.enqueue("0501234567", locale: "ar")
        try await database.enqueue("0501234568", locale: "en")
        try await database.text("DELETE FROM otp.templates WHERE locale = 'ar'")
        try await Otpd.run(simulator)
        try await database.becomes(
            "queued|t|t\naccepted||",
            "SELECT job_state, error LIKE '%ar%', remedy LIKE '%otp.templates%' FROM otp.delivery_status ORDER BY 1 DESC"
        )
        #expect(try simulator.inbox().map(\.to) == ["+966501234568"])
        #expect(
            try await database.refusal(
                "INSERT INTO otp.verifications (subject, phone_number, locale) VALUES ('a', '0501234567', 'ar')"
            ).sqlstate
                == "OT004")
        // The operator corrects it, and the waiting job is sent.
        try await database.text(
            "INSERT INTO otp.templates (purpose, locale, body) VALUES ('phone_verification', 'ar', '{code} again')")
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
        #expect(try simulator.inbox().first?.body.hasSuffix(" again") == true)
    }

    @Test func tenMegabytesAreRefusedAtOnce() async throws {
        let database = try #require(database)
        let huge = String(repeating: "5", count: 10_000_000)
        let answer = try await Psql.run(
            "INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '\(huge)')")
        #expect(answer.code == 3)
        #expect(answer.errors.contains("OT002"))
        #expect(answer.errors.utf8.count < 20_000_000)
        let environment = try Otpd.environment("http://127.0.0.1:9")
        let enqueue = try await Otpd.command(
            ["enqueue", "--subject", "a"], environment: environment, input: huge + "\n")
        #expect(enqueue.code == 65)
        #expect(enqueue.errors.utf8.count < 1000)
        #expect(try await database.text("SELECT count(*) FROM otp.verifications") == "0")
    }

    @Test(arguments: [
        "0501234567␀", "050␀1234567", "050\u{1}1234567", "\u{7F}", "05012\t34567\u{1B}[31m", "'; DROP SCHEMA otp; --",
    ])
    func controlCharactersAreRefused(number: String) async throws {
        let database = try #require(database)
        let environment = try Otpd.environment("http://127.0.0.1:9")
        // The NUL is written as its symbol, because the test's own output would end at a real one.
        let typed = String(number.map { $0 == "␀" ? "\0" : $0 })
        let answer = try await Otpd.command(
            ["enqueue", "--subject", "a"], environment: environment, input: typed + "\n")
        #expect(answer.code == 65, "\(answer)")
        #expect(answer.errors.split(separator: "\n").count == 1, "\(answer.errors)")
        #expect(!answer.errors.contains("\u{1B}") && !answer.errors.contains("\u{0}"))
        #expect(try await database.text("SELECT count(*) FROM otp.verifications") == "0")
    }

    @Test func sqlInEveryTextColumnIsText() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        let sql = "x''); DROP SCHEMA otp CASCADE; --"
        try await database.text("SELECT otp.request('\(sql)', '0501234567')")
        try await database.becomes(
            "accepted|x'); DROP SCHEMA otp CASCADE; --", "SELECT job_state, subject FROM otp.delivery_status")
        for (column, state) in [
            ("phone_number", "OT002"), ("region", "OT002"), ("locale", "OT004"), ("purpose", "OT004"),
            ("code", "OT007"),
        ] {
            let columns = column == "phone_number" ? "subject, phone_number" : "subject, phone_number, \(column)"
            let values = column == "phone_number" ? "'a', '\(sql)'" : "'a', '0501234567', '\(sql)'"
            let refusal = try await database.refusal("INSERT INTO otp.verifications (\(columns)) VALUES (\(values))")
            #expect(refusal.sqlstate == state, "\(column)")
        }
        let verification = try await database.text("SELECT max(id) FROM otp.verifications")
        let channel = try await database.refusal(
            "INSERT INTO otp.send_jobs (verification_id, channel) VALUES (\(verification), '\(sql)')")
        #expect(channel.sqlstate == "OT007")
        #expect(try await database.text("SELECT otp.verify('\(sql)', '\(sql)', '\(sql)', '\(sql)')") == "f")
        #expect(try await database.text("SELECT otp.cancel(1, '\(sql)2')") == "f")
        // All rows are intact, and the worker still works.
        try await database.enqueue("0501234568")
        try await database.becomes("2", "SELECT count(*) FROM otp.messages")
    }

    @Test func aJobSealedUnderAnotherSecretWaitsAndTheOthersGoOn() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let other = "another-secret-0123456789_another-secret"
        let session = try await database.connect(secret: other)
        try await session.text("SELECT otp.request('sealed', '0501234567')")
        await session.close()
        let first = try await Otpd.run(simulator)
        try await database.enqueue("0501234568", subject: "open")
        try await database.becomes(
            "open|accepted|\nsealed|queued|Its code is sealed under another secret.",
            "SELECT subject, job_state, error FROM otp.delivery_status ORDER BY 1")
        first.signal(SIGTERM)
        #expect(try await first.exit() == 0)
        // With the earlier secret, as during a rotation, it is sent.
        try await Otpd.run(simulator, ["OTPD_SECRET_PREVIOUS": other])
        try await database.becomes("2", within: .seconds(20), "SELECT count(*) FROM otp.messages")
        #expect(try simulator.stats().numbers == 2)
    }
}

extension String {
    /// How often `text` occurs.
    func components(_ text: String) -> Int { self.split(separator: text, omittingEmptySubsequences: false).count - 1 }
}
