import Foundation
import Glibc
import Testing

@testable import TwilioSimulator

/// The executable as its users start it.
@Suite struct ProgramTests {
    /// Beside the test bundle, under its product's name.
    private static func executable() throws -> URL {
        let arguments = CommandLine.arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
        let places = arguments + [Bundle.main.bundleURL]
        for place in places {
            let candidate = place.appendingPathComponent("twilio-simulator")
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
        }
        throw ControlError(message: "no twilio-simulator in \(places.map(\.path)): build the product first")
    }

    private final class Program {
        let process = Process()
        let output = Pipe()
        let errors = Pipe()

        /// `openFiles`: how many it may have.
        init(_ arguments: [String], environment: [String: String] = [:], openFiles: Int? = nil) throws {
            let program = try ProgramTests.executable()
            if let openFiles {
                process.executableURL = URL(fileURLWithPath: "/bin/sh")
                process.arguments = ["-c", "ulimit -n \(openFiles); exec \"$0\" \"$@\"", program.path] + arguments
            } else {
                process.executableURL = program
                process.arguments = arguments
            }
            // Built with a sanitizer, it reports where this process does (Tests/sanitize/run).
            let sanitizer = ProcessInfo.processInfo.environment.filter {
                $0.key.hasSuffix("SAN_OPTIONS") || $0.key == "LD_PRELOAD"
            }
            process.environment = sanitizer.merging(environment) { $1 }
            process.standardOutput = output
            process.standardError = errors
            try process.run()
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

        func firstLine() -> String {
            var line: [UInt8] = []
            while let byte = try? output.fileHandleForReading.read(upToCount: 1)?.first, byte != 0x0A {
                line.append(byte)
            }
            return String(utf8: line)
        }

        func end(_ signal: Int32? = nil) -> Int32 {
            if let signal { kill(process.processIdentifier, signal) }
            process.waitUntilExit()
            return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        }
    }

    @Test func sayItsVersion() throws {
        let program = try Program(["--version"])
        #expect(program.firstLine() == "twilio-simulator \(TwilioSimulator.version)")
        #expect(program.end() == 0)
    }

    @Test(arguments: ["0.0.0.0", "::", "192.0.2.1"])
    func elsewhereItNeedsAToken(host: String) throws {
        let program = try Program(["--host", host])
        #expect(program.end() == 64)
        let errors = String(utf8: Array(program.errors.fileHandleForReading.readDataToEndOfFile()))
        #expect(errors.contains("--host \(host) can be reached from other machines, and TWILIO_SIMULATOR_TOKEN"))
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func saysWhereItListensAndLeavesAtOnceWithOpenConnections(signal: Int32) throws {
        let ready = FileManager.default.temporaryDirectory.appendingPathComponent("ready-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: ready) }
        let program = try Program(["--ready-file", ready.path])
        let line = program.firstLine()
        let port = try #require(Int(line.components(separatedBy: ":").last ?? ""))
        #expect(line == "listening on http://127.0.0.1:\(port)")
        let wire = try Wire(port: port)
        wire.send(rawCreate(to: "+966590200006"))
        let health = try Wire(port: port)
        health.send(rawGet("/healthz"))
        #expect(try health.receiveMessage().body == Array("ok\n".utf8))
        #expect(try String(contentsOf: ready, encoding: .utf8) == "http://127.0.0.1:\(port)\n")
        // The first request is never answered: a simulator that waited for it would not end.
        #expect(program.end(signal) == 0)
    }

    /// A connection that waits for a free descriptor is taken once there is one.
    @Test func outlastsATimeOfTooManyOpenFiles() throws {
        let program = try Program([], openFiles: 24)
        let port = try #require(Int(program.firstLine().components(separatedBy: ":").last ?? ""))
        var held = try (0..<40).map { _ in try Wire(port: port) }
        held[0].send(rawGet("/healthz"))
        #expect(try held[0].receiveMessage().body == Array("ok\n".utf8))
        held.removeAll()
        let wire = try Wire(port: port)
        wire.send(rawGet("/healthz"))
        #expect(try wire.receiveMessage().body == Array("ok\n".utf8))
        #expect(program.end(SIGTERM) == 0)
    }

    @Test func badUsageIs64AndATakenPortIs69() throws {
        #expect(try Program(["--delays", "3,2,1"]).end() == 64)
        #expect(try Program(["--no-such"]).end() == 64)
        let listener = try Listener()
        let program = try Program(["--port", String(listener.port)])
        #expect(program.end() == 69)
        let said = String(utf8: program.errors.fileHandleForReading.readDataToEndOfFile())
        #expect(said.contains("cannot serve on 127.0.0.1:\(listener.port)"))
        #expect(try Program(["--faults", "{\"nxt\": 1}"]).end() == 64)
    }

    @Test func helpHasTheMagicNumbers() throws {
        let program = try Program(["--help"])
        let help = String(utf8: program.output.fileHandleForReading.readDataToEndOfFile())
        #expect(program.end() == 0)
        for word in ["+96659 00 CCCCC", "+966590200503", "/_sim/faults", "TWILIO_AUTH_TOKEN"] {
            #expect(help.contains(word))
        }
    }

    /// Twilio's own SDK for Python against the simulator. `OTPD_TWILIO_PYTHON` names an interpreter that has it.
    @Test func theRealSDKWorks() throws {
        let environment = ProcessInfo.processInfo.environment
        guard let python = environment["OTPD_TWILIO_PYTHON"], !python.isEmpty else {
            if environment["CI"] == "true" {
                Issue.record(
                    """
                    OTPD_TWILIO_PYTHON is not set, so Twilio's SDK was not tried. Remedy: python3 -m venv V; \
                    V/bin/pip install twilio==9.13.0; OTPD_TWILIO_PYTHON=V/bin/python
                    """)
            }
            return
        }
        let simulator = try Program(["--delays", "1,2,3"], environment: ["TWILIO_AUTH_TOKEN": "sdk"])
        let base = try #require(simulator.firstLine().components(separatedBy: "listening on ").last)
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("sdk_check.py")
        let check = Process()
        check.executableURL = URL(fileURLWithPath: python)
        check.arguments = [script.path, base, Settings().accountSID]
        check.environment = ["TWILIO_AUTH_TOKEN": "sdk", "PATH": environment["PATH"] ?? ""]
        let output = Pipe()
        check.standardOutput = output
        check.standardError = output
        try check.run()
        let said = String(utf8: output.fileHandleForReading.readDataToEndOfFile())
        check.waitUntilExit()
        #expect(check.terminationStatus == 0, "\(said)")
        #expect(said == "ok\n")
        #expect(simulator.end(SIGTERM) == 0)
    }
}
