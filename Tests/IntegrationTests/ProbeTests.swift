import Glibc
import TestSupport
import Testing

/// `otpd probe` as a process: what a container's health check learns.
@Suite(.database) struct ProbeTests {
    let database = TestScope.current?.database

    private static func probe(_ listen: String, _ arguments: [String] = []) async throws -> Otpd.Answer {
        var environment = Environment.base
        environment["OTPD_DASHBOARD_LISTEN"] = listen
        return try await Otpd.command(["probe"] + arguments, environment: environment)
    }

    @Test func aliveReadyPausedAndGone() async throws {
        let database = try #require(database)
        let port = try Loopback.freePort()
        let simulator = try await Simulator.start()
        let nothing = try await Self.probe("127.0.0.1:\(port)")
        #expect(nothing.code == 69 && nothing.output.isEmpty)
        #expect(nothing.errors.hasPrefix("otpd: otpd is not alive: http://127.0.0.1:\(port)/healthz does not answer: "))
        #expect(nothing.errors.split(separator: "\n").count == 1)

        // The token is not needed, and the address of all interfaces is asked at loopback.
        let otpd = try await Otpd.run(
            simulator,
            [
                "OTPD_DASHBOARD_LISTEN": "127.0.0.1:\(port)",
                "OTPD_DASHBOARD_TOKEN": String(TestDatabase.secret.reversed()),
            ])
        for listen in ["127.0.0.1:\(port)", "0.0.0.0:\(port)", "localhost:\(port)"] {
            let alive = try await Self.probe(listen)
            #expect(alive.code == 0 && alive.output.isEmpty && alive.errors.isEmpty, "\(alive)")
        }
        _ = try await eventually("ready") {
            try await Self.probe("127.0.0.1:\(port)", ["--ready"]).code == 0 ? true : nil
        }
        try await database.text("INSERT INTO otp.pauses (scope, reason) VALUES ('all', 'by hand')")
        let paused = try await eventually("not ready") {
            let answer = try await Self.probe("127.0.0.1:\(port)", ["--ready"])
            return answer.code == 0 ? nil : answer
        }
        #expect(paused.code == 69)
        #expect(
            paused.errors == "otpd: otpd is not ready: the database does not answer, or the worker claims no jobs. "
                + "For more, run otpd status, and read the log.\n")
        #expect(try await Self.probe("127.0.0.1:\(port)").code == 0)
        otpd.signal(SIGTERM)
        #expect(try await otpd.exit() == 0)
        #expect(try await Self.probe("127.0.0.1:\(port)").code == 69)
    }

    @Test func anAddressThatIsNone() async throws {
        let answer = try await Self.probe("9464")
        #expect(answer.code == 78)
        #expect(answer.errors.hasPrefix("otpd: OTPD_DASHBOARD_LISTEN is not an address to listen on"))
    }
}

/// `OTPD_PLAIN_HTTP_TO_TWILIO`: a simulator that is not at a loopback address.
@Suite(.database) struct PlainHTTPTests {
    let database = TestScope.current?.database
    private static let setting = "OTPD_PLAIN_HTTP_TO_TWILIO"

    @Test func aCodeReachesTheSimulatorByAnyName() async throws {
        let database = try #require(database)
        let simulator = try await Simulator.start()
        // libcurl resolves names under localhost by itself, so the request stays on this machine.
        let url = "http://simulator.localhost:\(simulator.port)"
        let refused = try await Otpd.command(["run"], environment: Otpd.environment(url))
        #expect(refused.code == 78)
        #expect(
            refused.errors == "otpd: TWILIO_API_BASE_URL is plain http to another machine, which would reveal "
                + "credentials. Use https://\n")

        let otpd = try await Otpd.run(at: url, [Self.setting: "yes"])
        let warning = "\(Self.setting) is yes: codes and credentials go to \(url) without encryption"
        #expect(otpd.errors.split(separator: "\n").count { $0.contains(warning) } == 1)
        try await database.enqueue("0501234567")
        try await database.becomes("accepted", "SELECT job_state FROM otp.delivery_status")
        #expect(try simulator.inbox().count == 1)
        // The status comes by a poll, which asks at the same address.
        try await database.becomes("delivered", "SELECT message_status FROM otp.delivery_status")
        let doctor = try await Doctor.examine(Otpd.environment(url, [Self.setting: "yes"]))
        #expect(doctor.findings.contains { $0.id == "settings" && $0.verdict == "warn" && $0.found.hasPrefix(warning) })
        #expect(doctor.troubles["twilio-account"] == nil && doctor.troubles["twilio-messages"] == nil)
    }

    @Test func twilioItselfIsNeverAskedInPlainText() async throws {
        let answer = try await Otpd.command(
            ["run"], environment: Otpd.environment("http://api.twilio.com", [Self.setting: "yes"]))
        #expect(answer.code == 78)
        #expect(answer.errors.contains("TWILIO_API_BASE_URL is plain http to Twilio"))
    }
}
