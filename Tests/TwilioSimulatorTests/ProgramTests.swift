import Glibc
import TestSupport
import Testing

@testable import TwilioSimulator

/// The executable, started as its users start it.
@Suite struct ProgramTests {
    /// Starts it. `openFiles` is its limit on open files.
    private func start(
        _ arguments: [String] = [], environment: [String: String] = [:], openFiles: Int? = nil
    ) throws -> Program {
        let path = try BuildFolder.executable("twilio-simulator")
        let environment = Environment.base.merging(environment) { $1 }
        guard let openFiles else { return try Program(path, arguments, environment: environment) }
        return try Program(
            "/bin/sh", ["-c", "ulimit -n \(openFiles); exec \"$0\" \"$@\"", path] + arguments, environment: environment)
    }

    /// The port that it listens on, once it does.
    private func port(_ program: Program) async throws -> Int {
        try await program.says("listening on http://127.0.0.1:")
        return try #require(program.output.split(separator: ":").last.flatMap { Int($0.dropLast()) })
    }

    private func stop(_ program: Program, _ signal: Int32 = SIGTERM) async throws -> Int32 {
        program.signal(signal)
        return try await program.exit()
    }

    @Test func sayItsVersion() async throws {
        let program = try start(["--version"])
        #expect(try await program.exit() == 0)
        #expect(program.output == "twilio-simulator \(TwilioSimulator.version)\n")
    }

    @Test(arguments: ["0.0.0.0", "::", "192.0.2.1"])
    func elsewhereItNeedsAToken(host: String) async throws {
        let program = try start(["--host", host])
        #expect(try await program.exit() == 64)
        let wanted = "other machines can reach --host \(host), and TWILIO_SIMULATOR_TOKEN is not set"
        #expect(program.errors.contains(wanted))
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func saysWhereItListensAndLeavesAtOnceWithOpenConnections(signal: Int32) async throws {
        let folder = try Files.makeFolder()
        let ready = "\(folder)/ready"
        defer {
            unlink(ready)
            rmdir(folder)
        }
        let program = try start(["--ready-file", ready])
        let port = try await port(program)
        #expect(program.output == "listening on http://127.0.0.1:\(port)\n")
        let unanswered = try Socket(port: port)
        try await unanswered.send(rawCreate(to: "+966590200006"))
        let health = try Socket(port: port)
        try await health.send(rawGet("/healthz"))
        #expect(try await health.receiveMessage().text == "ok\n")
        #expect(Files.read(ready) == "http://127.0.0.1:\(port)\n")
        // The first request is never answered. A simulator that waited for it would not end.
        #expect(try await stop(program, signal) == 0)
    }

    /// A connection that waits for a free descriptor is accepted once there is one.
    @Test func outlastsATimeOfTooManyOpenFiles() async throws {
        let program = try start(openFiles: 24)
        let port = try await port(program)
        var held = try (0..<40).map { _ in try Socket(port: port) }
        try await held[0].send(rawGet("/healthz"))
        #expect(try await held[0].receiveMessage().text == "ok\n")
        held.removeAll()
        let socket = try Socket(port: port)
        try await socket.send(rawGet("/healthz"))
        #expect(try await socket.receiveMessage().text == "ok\n")
        #expect(try await stop(program) == 0)
    }

    @Test(arguments: [["--delays", "3,2,1"], ["--no-such"], ["--faults", "{\"nxt\": 1}"]])
    func badUsageIs64(arguments: [String]) async throws {
        #expect(try await start(arguments).exit() == 64)
    }

    @Test func aTakenPortIs69() async throws {
        let listener = try Listener()
        let program = try start(["--port", String(listener.port)])
        #expect(try await program.exit() == 69)
        #expect(program.errors.contains("cannot serve on 127.0.0.1:\(listener.port)"))
    }

    @Test func helpHasTheMagicNumbers() async throws {
        let program = try start(["--help"])
        #expect(try await program.exit() == 0)
        for word in [
            "+96659 00 CCCCC", "+966590200503", "/_sim/faults", "TWILIO_AUTH_TOKEN", "rcpt-CODE@", "--smtp-port",
        ] {
            #expect(program.output.contains(word))
        }
    }

    @Test func saysWhereMailsGo() async throws {
        let folder = try Files.makeFolder()
        let (ready, certificate) = ("\(folder)/ready", "\(folder)/ca.pem")
        defer {
            unlink(ready)
            unlink(certificate)
            rmdir(folder)
        }
        let program = try start([
            "--ready-file", ready, "--smtp-port", "0", "--smtps-port", "0", "--smtp-self-signed", certificate,
        ])
        try await program.says("listening on smtps://127.0.0.1:")
        let lines = program.output.split(separator: "\n")
        #expect(
            lines.map { $0.prefix { $0 != "1" } } == [
                "listening on http://", "listening on smtp://", "listening on smtps://",
            ])
        #expect(Files.read(ready) == lines.map { $0.dropFirst("listening on ".count) + "\n" }.joined())
        #expect(Files.read(certificate).hasPrefix("-----BEGIN CERTIFICATE-----\n"))
        let port = try #require(lines[1].split(separator: ":").last.flatMap { Int($0) })
        let client = try Socket(port: port)
        try await client.send("QUIT\r\n")
        let text = try await client.receiveToEnd()
        #expect(text.hasPrefix("220 twilio-simulator ") && text.hasSuffix("221 2.0.0 Bye\r\n"))
        #expect(try await stop(program) == 0)
    }

    @Test(arguments: [
        ["--smtps-port", "0"], ["--smtp-port", "x"], ["--smtp-port", "0", "--smtp-key", "x"],
        ["--smtp-port", "0", "--smtp-max-bytes", "0"], ["--content", "HX1=x"], ["--calls-per-second", "0.0001"],
        ["--smtp-port", "0", "--smtp-certificate", "a", "--smtp-key", "b", "--smtp-self-signed", "c"],
    ])
    func badOptionsOfChannelsAre64(arguments: [String]) async throws {
        #expect(try await start(arguments).exit() == 64)
    }

    @Test func aMissingCertificateIs66() async throws {
        let program = try start([
            "--smtp-port", "0", "--smtp-certificate", "/nonexistent", "--smtp-key", "/nonexistent",
        ])
        #expect(try await program.exit() == 66)
        #expect(program.errors.contains("cannot read the certificate in /nonexistent"))
    }

    /// Twilio's own SDK for Python against the simulator. `OTPD_TWILIO_PYTHON` names an interpreter that has it.
    @Test func theRealSDKWorks() async throws {
        guard let python = Environment.current["OTPD_TWILIO_PYTHON"], !python.isEmpty else {
            if Environment.current["CI"] == "true" {
                Issue.record(
                    """
                    OTPD_TWILIO_PYTHON is not set, so Twilio's SDK was not tried. Remedy: python3 -m venv V; \
                    V/bin/pip install twilio==9.13.0; OTPD_TWILIO_PYTHON=V/bin/python
                    """)
            }
            return
        }
        let simulator = try start(["--delays", "1,2,3"], environment: ["TWILIO_AUTH_TOKEN": "sdk"])
        let base = "http://127.0.0.1:\(try await port(simulator))"
        let check = try Program(
            python,
            ["\(Repository.root)/Tests/TwilioSimulatorTests/sdk_check.py", base, Settings().accountSID],
            environment: ["TWILIO_AUTH_TOKEN": "sdk", "PATH": Environment.current["PATH"] ?? ""])
        #expect(try await check.exit() == 0)
        #expect(check.output == "ok\n", "\(check.errors)")
        #expect(try await stop(simulator) == 0)
    }
}
