import TestSupport
import Testing

/// `otpd migrate`, and migrations that psql runs.
@Suite(.emptyDatabase) struct MigrateTests {
    let database = TestScope.current?.database

    private func migrate(_ arguments: String...) async throws -> Otpd.Answer {
        try await Otpd.command(["migrate"] + arguments)
    }

    /// The steps' files, in order, without their endings.
    private static let files = Files.list("\(Repository.root)/migrations")
        .filter { $0.hasSuffix(".up.sql") }.map { String($0.dropLast(7)) }.sorted()

    @Test func upIsRepeatableAndDownTakesItBack() async throws {
        let database = try #require(database)
        let absent = try await migrate("check")
        #expect(absent.code == 78)
        #expect(absent.errors.contains("otpd migrate up"))
        let preview = try await migrate("up", "--dry-run")
        #expect(preview.code == 0, "\(preview.errors)")
        #expect(preview.output.split(separator: "\n").count == Self.files.count)
        #expect(preview.output.contains("1  foundation  It makes new objects only"), "\(preview.output)")
        #expect(try await database.text("SELECT to_regnamespace('otp') IS NULL") == "t", "it changes nothing")

        let up = try await migrate("up")
        #expect(up.code == 0, "\(up.errors)")
        let newest = Self.files.count
        #expect(newest >= 3)
        #expect(up.output.split(separator: "\n").count == newest + 1)
        #expect(up.output.contains("phone numbers"))
        let again = try await migrate("up")
        #expect(again.code == 0)
        #expect(again.output.contains("nothing to do"))
        #expect(try await migrate("check").code == 0)
        #expect(try await migrate("up", "--dry-run").output.contains("nothing to do"))

        let down = try await migrate("down")
        #expect(down.code == 0, "\(down.errors)")
        #expect(try await database.text("SELECT max(version) FROM otp.schema_migrations") == "\(newest - 1)")
        let behind = try await migrate("check")
        #expect(behind.code == 78)
        #expect(behind.errors.contains("migration \(newest)"))
        #expect(try await migrate("down", "--to", "0", "--yes").code == 0)
        #expect(try await database.text("SELECT to_regnamespace('otp') IS NULL") == "t")
        #expect(try await migrate("down").code == 0)
        #expect(try await migrate("up").code == 0)
        #expect(try await database.text("SELECT count(*) FROM otp.error_classes") != "0")
        #expect(try await migrate("down", "--to", "99").code == 64)
    }

    @Test func manyAtOnceDoTheWorkOnce() async throws {
        let database = try #require(database)
        let answers = try await withThrowingTaskGroup(of: Otpd.Answer.self) { group in
            for _ in 0..<4 { group.addTask { try await Otpd.command(["migrate", "up"]) } }
            return try await group.reduce(into: [Otpd.Answer]()) { $0.append($1) }
        }
        #expect(answers.allSatisfy { $0.code == 0 }, "\(answers)")
        #expect(answers.filter { $0.output.contains("nothing to do") }.count == 3, "\(answers)")
        #expect(
            try await database.text("SELECT count(*), count(checksum) FROM otp.schema_migrations")
                == "\(Self.files.count)|\(Self.files.count)")
    }

    @Test func aChecksumThatDiffersIsRefused() async throws {
        let database = try #require(database)
        #expect(try await migrate("up").code == 0)
        try await database.text("UPDATE otp.schema_migrations SET checksum = repeat('0', 64) WHERE version = 1")
        for command in ["up", "down", "check"] {
            let answer = try await migrate(command)
            #expect(answer.code == 78)
            #expect(
                answer.errors.contains("migration 1 (foundation) was applied with another text"), "\(answer.errors)")
        }
        #expect(try await migrate("status").code == 0)
    }

    @Test func aNewerSchemaIsLeftAlone() async throws {
        let database = try #require(database)
        #expect(try await migrate("up").code == 0)
        try await database.text("INSERT INTO otp.schema_migrations (version, name) VALUES (99, 'future')")
        for command in ["up", "down", "check"] {
            let answer = try await migrate(command)
            #expect(answer.code == 78)
            #expect(answer.errors.contains("newer (migration 99)"), "\(answer.errors)")
        }
        #expect(try await migrate("status").output.contains("a newer otpd"))
    }

    @Test func filesThatPsqlRanAreAccepted() async throws {
        let database = try #require(database)
        for file in Self.files {
            let answer = try await Psql.file("migrations/\(file).up.sql")
            #expect(answer.code == 0, "\(answer.errors)")
        }
        let without = try await migrate("check")
        #expect(without.code == 78)
        #expect(without.errors.contains("its table of phone numbers is empty"), "\(without.errors)")
        let numbers = try await Psql.file("migrations/numbers.sql")
        #expect(numbers.code == 0, "\(numbers.errors)")
        #expect(try await migrate("check").code == 0)
        #expect(try await migrate("up").output.contains("nothing to do"))
        let status = try await migrate("status", "--json")
        #expect(status.code == 0)
        #expect(status.output.components("\"psql\"") == Self.files.count)
        let simulator = try await Simulator.start()
        try await Otpd.run(simulator)
        try await database.enqueue("0501234567")
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
    }

    /// The table of phone numbers is data. A newer program loads its newer one, and an older program leaves it.
    @Test func aNewerTableOfPhoneNumbersIsTakenIn() async throws {
        let database = try #require(database)
        #expect(try await migrate("up").code == 0)
        let version = try await database.text("SELECT version FROM otp.number_table")
        let status = try await migrate("status")
        #expect(status.output.contains("phone numbers \(version) of "), "\(status.output)")
        #expect(!status.errors.contains("phone numbers"))

        try await database.text(
            "UPDATE otp.number_table SET version = '8.12.57'; DELETE FROM otp.regions WHERE region = 'SA'")
        #expect(try await migrate("status").errors.contains("this otpd has newer phone numbers. Load \(version)"))
        #expect(try await migrate("check").code == 0, "an older table does not stop workers")
        let up = try await migrate("up")
        #expect(up.output.contains("up    phone numbers \(version)"), "\(up.output)")
        #expect(!up.output.contains("foundation"))
        #expect(try await database.text("SELECT otp.to_e164('0501234567')") == "+966501234567")

        try await database.text("UPDATE otp.number_table SET version = '99.0.1'")
        let older = try await migrate("up")
        #expect(older.output.contains("nothing to do"), "\(older.output)")
        #expect(try await database.text("SELECT version FROM otp.number_table") == "99.0.1")
        #expect(try await migrate("status").errors.contains("newer phone numbers than this otpd"))
    }

    /// A table that fails to load leaves the previous one intact.
    @Test func aTableThatFailsIsNotTakenIn() async throws {
        let database = try #require(database)
        #expect(try await migrate("up").code == 0)
        try await database.text(
            """
            UPDATE otp.number_table SET version = '8.12.57';
            ALTER TABLE otp.regions ADD CONSTRAINT none CHECK (region <> 'ZW') NOT VALID
            """)
        let failed = try await migrate("up")
        #expect(failed.code != 0)
        #expect(failed.errors.contains("the previous table stays"), "\(failed.errors)")
        #expect(failed.errors.split(separator: "\n").count == 1)
        #expect(
            try await database.text("SELECT version, otp.to_e164('0501234567') FROM otp.number_table")
                == "8.12.57|+966501234567")
    }

    /// A failing migration leaves nothing behind.
    @Test func aStepThatFailsIsRolledBack() async throws {
        let database = try #require(database)
        #expect(try await migrate("up").code == 0)
        #expect(try await migrate("down").code == 0)
        try await database.text(
            "CREATE RULE no_region AS ON INSERT TO otp.schema_migrations WHERE new.version = \(Self.files.count) DO ALSO SELECT 1/0"
        )
        let failed = try await migrate("up")
        #expect(failed.code != 0)
        #expect(failed.errors.contains("migration \(Self.files.count)"), "\(failed.errors)")
        try await database.text("DROP RULE no_region ON otp.schema_migrations")
        #expect(try await migrate("up").code == 0)
    }

    /// Reverting migrations deletes data only on request. An interrupted `up` continues.
    @Test func dataGoesOnlyWhenAskedFor() async throws {
        let database = try #require(database)
        #expect(try await migrate("up").code == 0)
        try await database.text("INSERT INTO otp.verifications (subject, phone_number) VALUES ('a', '0501234567')")
        try await database.text("ANALYZE otp.verifications; SELECT pg_stat_force_next_flush()")
        let refused = try await migrate("down", "--to", "3")
        #expect(refused.code == 64)
        #expect(
            refused.errors.contains("deletes tables of the schema otp of database \(database.name) with their data"),
            "\(refused.errors)")
        #expect(refused.errors.contains("otpd migrate down --to 3 --yes"), "\(refused.errors)")
        #expect(try await migrate("check").code == 0)
        #expect(try await migrate("down", "--to", "3", "--yes").code == 0)
        let up = try await migrate("up")
        #expect(up.code == 0, "\(up.errors)")
        #expect(up.output.hasPrefix("up    4  "), "\(up.output)")
        #expect(try await migrate("check").code == 0)
    }

    @Test func withoutPrivilegesItSaysSo() async throws {
        let database = try #require(database)
        let role = "otpd_test_nobody_\(database.name)"
        try await database.text("CREATE ROLE \(role) LOGIN PASSWORD 'nobody'")
        let environment = try Otpd.databaseEnvironment().merging(["PGUSER": role, "PGPASSWORD": "nobody"]) { $1 }
        let answer = try await Otpd.command(["migrate", "up"], environment: environment)
        try await database.text("DROP ROLE \(role)")
        #expect(answer.code == 77, "\(answer.errors)")
        #expect(answer.errors.split(separator: "\n").count == 1)
    }
}
