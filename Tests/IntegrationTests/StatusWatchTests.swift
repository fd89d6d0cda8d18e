import Glibc
import TestSupport
import Testing

/// `otpd status --watch` in a real terminal, and without one.
@Suite(.database) struct StatusWatchTests {
    let database = TestScope.current?.database

    private static let enter = "\u{1B}[?1049h"
    private static let leave = "\u{1B}[?1049l"

    private func watch(
        _ changes: [String: String] = [:], columns: Int = 80, rows: Int = 24
    ) throws -> PseudoTerminal {
        var environment = try Otpd.databaseEnvironment()
        for (name, value) in changes { environment[name] = value }
        return try PseudoTerminal(
            BuildFolder.executable("otpd"), ["status", "--watch", "--interval", "0.5"], environment: environment,
            columns: columns, rows: rows)
    }

    private func fits(_ terminal: PseudoTerminal, columns: Int, rows: Int) -> Bool {
        let picture = terminal.picture
        return picture.count <= rows && picture.allSatisfy { $0.unicodeScalars.count <= columns }
    }

    @Test(arguments: ["q", "\u{3}", "SIGTERM"])
    func itLeavesTheTerminalAsItWas(how: String) async throws {
        let terminal = try watch()
        try await terminal.shows("No worker is alive")
        #expect(terminal.shown.hasPrefix(Self.enter))
        #expect(!terminal.isAsBefore)
        #expect(fits(terminal, columns: 80, rows: 24))
        if how == "SIGTERM" { terminal.program.signal(SIGTERM) } else { terminal.type(how) }
        #expect(try await terminal.program.exit() == 0)
        #expect(terminal.shown.hasSuffix("\u{1B}[?25h" + Self.leave))
        #expect(terminal.isAsBefore)
        #expect(terminal.program.errors.isEmpty)
    }

    @Test func itFollowsTheTerminalsSize() async throws {
        let database = try #require(database)
        try await database.text(
            """
            INSERT INTO otp.worker_status (host, pid, version, state)
            SELECT 'host-' || n, n, '0.1.0', 'running' FROM generate_series(1, 30) n
            """)
        let terminal = try watch()
        try await terminal.shows("30 alive")
        #expect(fits(terminal, columns: 80, rows: 24))
        try terminal.resize(columns: 40, rows: 12)
        _ = try await eventually("it has become smaller") { fits(terminal, columns: 40, rows: 12) ? true : nil }
        try await terminal.shows("more")
        try terminal.resize(columns: 120, rows: 50)
        try await terminal.shows("host-1 ")
        #expect(terminal.picture.filter { $0.contains("host-") }.count == 30)
        terminal.type("q")
        #expect(try await terminal.program.exit() == 0)
    }

    @Test func itSaysThatTheDatabaseIsAway() async throws {
        let database = try #require(database)
        let terminal = try watch()
        try await terminal.shows("No worker is alive")
        try await database.text(
            """
            UPDATE pg_database SET datallowconn = false WHERE datname = current_database();
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'otpd'
            """)
        try await terminal.shows("Cannot reach the database.")
        // What was known stays.
        try await terminal.shows("Queue    0 queued")
        try await database.text("UPDATE pg_database SET datallowconn = true WHERE datname = current_database()")
        try await terminal.shows("No worker is alive")
        terminal.type("q")
        #expect(try await terminal.program.exit() == 0)
    }

    /// From the first attempt on, with the reason of the refusal.
    @Test func aDatabaseThatIsAwayFromTheStart() async throws {
        let terminal = try watch(["PGHOST": "127.0.0.1", "PGPORT": "\(Loopback.closedPort())"])
        try await terminal.shows("Cannot reach the database.")
        try await terminal.shows("Connection refused")
        #expect(!terminal.shown.contains("had not been sent"))
        terminal.type("q")
        #expect(try await terminal.program.exit() == 0)
    }

    @Test func itIsStoppedAndGoesOn() async throws {
        let terminal = try watch()
        try await terminal.shows("No worker is alive")
        terminal.type("\u{1A}")
        _ = try await eventually("it gives the screen back") {
            terminal.shown.hasSuffix(Self.leave) && terminal.isAsBefore ? true : nil
        }
        terminal.program.signal(SIGCONT)
        _ = try await eventually("it takes it again") {
            terminal.shown.components(of: Self.enter) == 2 && !terminal.isAsBefore ? true : nil
        }
        terminal.type("q")
        #expect(try await terminal.program.exit() == 0)
        #expect(terminal.isAsBefore)
    }

    @Test func aLostTerminalEndsIt() async throws {
        var terminal: PseudoTerminal? = try watch()
        try await terminal?.shows("No worker is alive")
        let program = try #require(terminal?.program)
        terminal = nil
        #expect(try await program.exit() == 0)
    }

    @Test func coloursOnlyWhereTheyAreWanted() async throws {
        let coloured = try watch()
        try await coloured.shows("No worker is alive")
        #expect(coloured.shown.contains("\u{1B}[1;31m"))
        coloured.type("q")
        let plain = try watch(["NO_COLOR": "1"])
        try await plain.shows("No worker is alive")
        #expect(!plain.shown.contains("\u{1B}[1;31m"))
        plain.type("q")
        #expect(try await plain.program.exit() == 0)
        #expect(try await coloured.program.exit() == 0)
        // A terminal that can only print gets plain lines.
        let dumb = try watch(["TERM": "dumb"])
        _ = try await eventually("two lines") { dumb.shown.components(of: "workers 0") >= 2 ? true : nil }
        #expect(!dumb.shown.contains("\u{1B}"))
        dumb.program.signal(SIGINT)
        #expect(try await dumb.program.exit() == 0)
    }

    @Test func intoAFileALinePerLook() async throws {
        let scope = try #require(TestScope.current)
        let program = try scope.start(
            BuildFolder.executable("otpd"), ["status", "--watch", "--interval", "0.5"],
            environment: Otpd.databaseEnvironment())
        _ = try await eventually("three lines") { program.output.components(of: "\n") >= 3 ? true : nil }
        program.signal(SIGTERM)
        #expect(try await program.exit() == 0)
        for line in program.output.split(separator: "\n") {
            #expect(
                line.contains(#/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ queued 0 .* No worker is alive/#), "\(line)")
        }
        #expect(!program.output.contains("\u{1B}"))
    }

    @Test func badArgumentsAreUsage() async throws {
        for arguments in [
            ["--watch", "--json"], ["--watch", "--check"], ["--interval", "2"], ["--watch", "--interval", "0.1"],
        ] {
            #expect(try await Otpd.command(["status"] + arguments).code == 64, "\(arguments)")
        }
    }

    @Test func withoutTheRoleItSaysWhichToGrant() async throws {
        let database = try #require(database)
        let role = "watcher_\(database.name)"
        try await database.text("CREATE ROLE \(role) LOGIN PASSWORD 'x'")
        var environment = try Otpd.databaseEnvironment()
        environment["PGUSER"] = role
        environment["PGPASSWORD"] = "x"
        for arguments in [["status"], ["status", "--watch"], ["jobs", "list"], ["jobs", "show", "1"], ["pause"]] {
            let answer = try await Otpd.command(arguments, environment: environment)
            #expect(answer.code == 77, "\(arguments): \(answer.errors)")
            #expect(answer.errors.contains("GRANT otp_monitor TO"), "\(answer.errors)")
        }
        try await database.text("GRANT otp_monitor TO \(role)")
        #expect(try await Otpd.command(["status"], environment: environment).code == 0)
        #expect(try await Otpd.command(["jobs", "list"], environment: environment).code == 0)
        for arguments in [
            ["jobs", "retry", "1"], ["jobs", "cancel", "1"], ["pause", "--all", "--reason", "x"], ["resume", "--all"],
        ] {
            let answer = try await Otpd.command(arguments, environment: environment)
            #expect(answer.code == 77 && answer.errors.contains("GRANT otp_admin TO"), "\(answer.errors)")
        }
        try await database.text("DROP ROLE \(role)")
    }
}

extension String {
    /// How often it contains `text`.
    fileprivate func components(of text: String) -> Int { ranges(of: text).count }
}
