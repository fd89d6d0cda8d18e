import Glibc
import TestSupport
import Testing

/// No code, phone number, secret or token is in anything that otpd prints or logs.
@Suite(.database) struct SecrecyTests {
    let database = TestScope.current?.database

    @Test func nothingPrintedOrLoggedHoldsASecret() async throws {
        let database = try #require(database)
        // From here on the server logs every statement of otpd's with its parameters, but not those of the test's own
        // session.
        try await database.text(
            """
            ALTER DATABASE \(database.name) SET log_statement = 'all';
            ALTER DATABASE \(database.name) SET log_parameter_max_length_on_error = -1
            """)
        let simulator = try await Simulator.start()
        let socket = try NotifySocket()
        let otpd = try await Otpd.run(
            simulator, ["OTPD_LOG_LEVEL": "trace", "NOTIFY_SOCKET": socket.name, "OTPD_MAX_IN_FLIGHT": "4"])
        let codes = (0..<8).map { "73\($0)9158264" }
        let numbers = [
            "+966501234567", "+966590021211", "+966590021610", "+966590200429", "+966590200500", "+966590200002",
            "+966590200004", "+966590130003",
        ]
        for (number, code) in zip(numbers, codes) { try await database.enqueue(number, code: code) }
        try await database.becomes(
            "0|8", within: .seconds(20),
            """
            SELECT count(*) FILTER (WHERE job_state IN ('queued', 'sending')), count(*) FROM otp.delivery_status
            """)
        try await database.text(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'otpd'
            """)
        let status = try await Otpd.command(["status"])
        let statusJSON = try await Otpd.command(["status", "--json"])
        let title = Files.read("/proc/\(otpd.pid)/cmdline") + Files.read("/proc/\(otpd.pid)/comm")
        try await otpd.says("a connection to the database ended")
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)

        let log = PostgresServer.log().split(separator: "\n").filter { $0.contains(database.name) }.joined(
            separator: "\n")
        // If the server's log can be read, it holds otpd's statements.
        if PostgresServer.log() != "" { #expect(log.contains("send_jobs"), "the server logs otpd's statements") }
        let said = [
            "otpd": otpd.errors + otpd.output, "status": status.output + status.errors, "json": statusJSON.output,
            "title": title, "systemd": socket.messages.joined(), "server": log,
            "views": try await database.text(
                "SELECT d::text FROM otp.delivery_status d UNION ALL SELECT w::text FROM otp.worker_status w"),
        ]
        #expect(otpd.errors.contains("debug") || otpd.errors.contains("trace"), "it is talkative")
        var secrets = codes + [TestDatabase.secret, Simulator.authToken]
        secrets += numbers.map { String($0.dropFirst(4)) }
        for (place, text) in said {
            #expect(!text.isEmpty || place == "server", "\(place)")
            for secret in secrets {
                let line = text.split(separator: "\n").first { $0.contains(secret) }
                #expect(line == nil, "\(place) has \(secret)")
            }
        }
    }
}

extension PostgresServer {
    /// The log of pg_virtualenv's server; empty if it can't be read.
    static func log() -> String {
        guard let root = Environment.current["PG_CLUSTER_CONF_ROOT"] else { return "" }
        let folder = "/" + root.split(separator: "/").dropLast().joined(separator: "/") + "/log"
        return Files.list(folder).filter { $0.hasSuffix(".log") }.map { Files.read("\(folder)/\($0)") }.joined()
    }
}
