import Glibc
import TestSupport
import Testing

/// `otpd dashboard`, and the dashboard within `otpd run`, as processes. Tests/dashboard tests it in a browser.
@Suite(.database) struct DashboardTests {
    let database = TestScope.current?.database

    private static let isServing = "the dashboard is at http://127.0.0.1:"

    private static func get(_ port: UInt16, _ path: String) throws -> (status: Int, text: String) {
        let answer = try HTTP1.exchange(port: port, "GET", path, headers: [])
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    /// Starts `otpd dashboard`, and returns when it serves.
    private static func start(_ changes: [String: String]) async throws -> (program: Program, port: UInt16) {
        let scope = try #require(TestScope.current)
        let port = try Loopback.freePort()
        let environment = try Otpd.databaseEnvironment().merging(["OTPD_DASHBOARD_LISTEN": "127.0.0.1:\(port)"]) { $1 }
        let program = try scope.start(
            BuildFolder.executable("otpd"), ["dashboard"], environment: environment.merging(changes) { $1 })
        try await program.says(isServing)
        return (program, port)
    }

    @Test func withinRun() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        let (port, databasePort) = (try Loopback.freePort(), try Loopback.freePort())
        let proxy = try TCPProxy(port: databasePort, to: PostgresServer.port())
        let otpd = try await Otpd.run(
            simulator,
            ["OTPD_DASHBOARD_LISTEN": "127.0.0.1:\(port)", "PGHOST": "127.0.0.1", "PGPORT": "\(databasePort)"])
        try await otpd.says(Self.isServing)
        _ = try await eventually("ready") { try Self.get(port, "/readyz").status == 200 ? true : nil }
        try await database.enqueue("0501234567")
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        _ = try await eventually("counted") {
            let metrics = try Self.get(port, "/metrics").text
            return metrics.contains("\notpd_ended_1h{outcome=\"accepted\"} 1\n")
                && metrics.contains("\notpd_workers_alive 1\n")
                ? true : nil
        }
        // The first sweep records a minute, and the worker's role may read all of it.
        try await database.becomes("t", "SELECT count(*) BETWEEN 1 AND 3 FROM otp.history")
        #expect(try Self.get(port, "/api/history.json?span=hour").text.contains(#""at":[1"#))
        #expect(try Self.get(port, "/api/status.json").text.contains("+9665•••••567") == false)
        #expect(try HTTP1.exchange(port: port, "POST", "/", headers: [], body: "x").status == 405)

        try await database.text("INSERT INTO otp.pauses (scope, reason) VALUES ('all', 'by hand')")
        _ = try await eventually("a paused worker is not ready") {
            let answer = try Self.get(port, "/readyz")
            return answer.status == 503 && answer.text.contains("paused") ? true : nil
        }
        try await database.text("DELETE FROM otp.pauses")
        _ = try await eventually("ready again") { try Self.get(port, "/readyz").status == 200 ? true : nil }

        proxy.stop()
        proxy.cut()
        _ = try await eventually("not ready without its database") {
            try Self.get(port, "/readyz").status == 503 ? true : nil
        }
        #expect(try Self.get(port, "/healthz").status == 200)
        _ = try await eventually("the metrics say so") {
            try Self.get(port, "/metrics").text.contains("\notpd_database_up 0\n") ? true : nil
        }
        let answer = try Self.get(port, "/api/status.json")
        #expect(answer.status == 503 && answer.text.contains(#""trouble":""#))
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(throws: Trouble.self) { try Self.get(port, "/healthz") }
    }

    @Test func aloneAsAMonitor() async throws {
        let database = try #require(database)
        let role = "\(database.name)_dashboard"
        try await database.text("CREATE ROLE \(role) LOGIN PASSWORD 'dashboard' IN ROLE otp_monitor")
        let (otpd, port) = try await Self.start(
            ["PGUSER": role, "PGPASSWORD": "dashboard", "OTPD_DASHBOARD_TOKEN": TestDatabase.secret])
        #expect(try Self.get(port, "/metrics").status == 401)
        #expect(try Self.get(port, "/").status == 200)
        for path in ["/metrics", "/api/status.json", "/api/history.json?span=day", "/readyz"] {
            let answer = try HTTP1.exchange(
                port: port, "GET", path, headers: ["Authorization: Bearer \(TestDatabase.secret)"])
            #expect(answer.status == 200, "\(path): \(String(decoding: answer.body, as: UTF8.self))")
        }
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(!otpd.errors.contains(TestDatabase.secret))
        try await database.text("DROP ROLE \(role)")
    }

    /// With more silent clients and unfinished requests than places, probes and readers still get through.
    @Test func strangersTakeNoPlaceFromProbes() async throws {
        let (otpd, port) = try await Self.start(["OTPD_DASHBOARD_TOKEN": TestDatabase.secret])
        var held: [Socket] = []
        for beginning in ["", "GET /metrics HTTP/1.1\r\nX-Slow: ", "\u{16}\u{3}\u{1}"] {
            for _ in 0..<100 {
                let socket = try Socket(port: port)
                held.append(socket)
                try await socket.send(beginning)
            }
            #expect(try Self.get(port, "/healthz").status == 200)
            #expect(try Self.get(port, "/readyz").status == 200)
            let answer = try HTTP1.exchange(
                port: port, "GET", "/metrics", headers: ["Authorization: Bearer \(TestDatabase.secret)"])
            #expect(answer.status == 200)
        }
        try await otpd.says("connections were closed to make room for new ones")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
    }

    /// After fifteen wrong tokens from the reader's own address.
    @Test func theRightTokenAlwaysEnters() async throws {
        let (otpd, port) = try await Self.start(["OTPD_DASHBOARD_TOKEN": TestDatabase.secret])
        func get(_ token: String) throws -> Int {
            try HTTP1.exchange(port: port, "GET", "/metrics", headers: ["Authorization: Bearer \(token)"]).status
        }
        var wrong: [Int] = []
        for number in 0..<15 { wrong.append(try get("wrong \(number)")) }
        #expect(wrong.prefix(10) == [401, 401, 401, 401, 401, 401, 401, 401, 401, 401] && wrong.last == 429)
        #expect(try get(TestDatabase.secret) == 200)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
    }

    /// No server, an address in use, and an address that other machines can reach.
    @Test func whereItCanNotStart() async throws {
        let (_, taken) = try Loopback.listen()
        let base = try Otpd.databaseEnvironment()
        let busy = try await Otpd.command(
            ["dashboard"], environment: base.merging(["OTPD_DASHBOARD_LISTEN": "127.0.0.1:\(taken)"]) { $1 })
        #expect(busy.code == 69)
        #expect(busy.errors.contains("cannot serve the dashboard: 127.0.0.1:\(taken) is in use"))
        #expect(busy.errors.contains("set another OTPD_DASHBOARD_LISTEN"))
        let open = try await Otpd.command(
            ["dashboard"], environment: base.merging(["OTPD_DASHBOARD_LISTEN": "0.0.0.0:\(taken)"]) { $1 })
        #expect(open.code == 78)
        #expect(open.errors.contains("OTPD_DASHBOARD_TOKEN is not set"))
        let simulator = try await Simulator.start()
        let run = try await Otpd.command(
            ["run"], environment: Otpd.environment(simulator.url, ["OTPD_DASHBOARD_LISTEN": "127.0.0.1:\(taken)"]))
        #expect(run.code == 69, "\(run.errors)")
    }
}
