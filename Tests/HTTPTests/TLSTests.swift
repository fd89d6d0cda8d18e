import EventLoop
import Foundation
import Glibc
import HTTP
import TestSupport
import Testing

@Suite("TLS", .timeLimit(.minutes(10)))
struct TLSTests {
    /// `openssl s_server` with its own certificate for localhost, which answers one POST with a 201.
    private final class Server {
        let port: UInt16
        let folder: String
        private let process = Process()
        private let input = Pipe()

        var certificate: String { "\(folder)/tls.crt" }
        var url: String { "https://localhost:\(port)/Messages.json" }
        /// Everything that it has printed: what it got from its client, among others.
        var output: String { Files.read("\(folder)/output") }

        private init() throws {
            port = try Loopback.freePort()
            folder = try Files.makeFolder()
            let make = try Process.run(
                URL(filePath: "/usr/bin/openssl"),
                arguments: [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=otpd test", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", "\(folder)/tls.key", "-out", certificate,
                ])
            make.waitUntilExit()
            try Files.write("", to: "\(folder)/output")
            process.executableURL = URL(filePath: "/usr/bin/openssl")
            process.arguments = [
                "s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", "\(folder)/tls.key",
            ]
            process.standardInput = input
            // A file, and no pipe: a test that waits for what never comes must not wait for ever.
            process.standardOutput = FileHandle(forWritingAtPath: "\(folder)/output")
            process.standardError = FileHandle.nullDevice
            try process.run()
        }

        /// Runs `body` with a server, and ends it whatever happens.
        static func run(_ body: (Server) async throws -> Void) async throws {
            let server = try Server()
            defer { server.stop() }
            try await server.prints("ACCEPT")
            try await body(server)
        }

        /// Waits until it has printed `text`.
        func prints(_ text: String) async throws {
            try await eventually("openssl prints \(text)") { output.contains(text) ? true : nil }
        }

        func answer() throws {
            try input.fileHandleForWriting.write(
                contentsOf: Data("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}".utf8))
        }

        private func stop() {
            // Not terminate(): a child inherits the signal mask of a dispatch thread, which blocks SIGTERM.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            for name in Files.list(folder) { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
    }

    @Test("a certificate that nobody vouches for: not sent, and no byte of the request leaves")
    func untrusted() async throws {
        try await Server.run { server in
            let ended = try await withPoster { try await $0.post(server.url, "Body=432198") }
            #expect(ended.isTLSFailure)
            #expect(!server.output.contains("Body="))
        }
    }

    @Test("with the certificate in caFile it is sent; under another host's name it is not")
    func trusted() async throws {
        try await Server.run { server in
            var configuration = HTTPConfiguration()
            configuration.caFile = server.certificate
            try await withPoster(configuration) { poster in
                let other = try await poster.post("https://127.0.0.1:\(server.port)/", "Body=wrong")
                #expect(other.isTLSFailure)
                let url = server.url
                async let ended = poster.post(url, "Body=right")
                try await server.prints("Body=right")
                try server.answer()
                let end = try await ended
                #expect(end == .response(201, "{}"))
            }
            #expect(!server.output.contains("Body=wrong"))
        }
    }

    @Test("a caFile that is not there: not sent, and said so")
    func missingFile() async throws {
        try await Server.run { server in
            var configuration = HTTPConfiguration()
            configuration.caFile = "/nonexistent/ca.crt"
            let ended = try await withPoster(configuration) { try await $0.post(server.url) }
            #expect(ended == .notSent(.certificatesUnreadable))
        }
    }

    @Test("a server that does not speak TLS: not sent")
    func plain() async throws {
        try await withServer { peer in
            _ = peer.read()
            peer.write("HTTP/1.1 400 Bad Request\r\n\r\n")
        } _: { server in
            let ended = try await withPoster { try await $0.post("https://localhost:\(server.port)/", "Body=432198") }
            #expect(ended.isTLSFailure)
            #expect(!server.accepted[0].text.contains("Body="))
        }
    }
}
