import EventLoop
import Foundation
import HTTP
import TestSupport
import Testing

@Suite("TLS", .timeLimit(.minutes(10)))
struct TLSTests {
    /// `openssl s_server` with its own certificate for localhost, which answers one POST with a 201.
    private final class Server {
        let port: UInt16
        let folder = URL(filePath: NSTemporaryDirectory()).appending(path: "otpd-tls-\(UUID())")
        private let process = Process()
        private let (input, output) = (Pipe(), Pipe())
        private var seen = ""

        var certificate: String { folder.appending(path: "tls.crt").path() }
        var url: String { "https://localhost:\(port)/Messages.json" }

        init() throws {
            port = try Loopback.freePort()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let make = try Process.run(
                URL(filePath: "/usr/bin/openssl"),
                arguments: [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=otpd test", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder.appending(path: "tls.key").path(), "-out", certificate,
                ])
            make.waitUntilExit()
            process.executableURL = URL(filePath: "/usr/bin/openssl")
            process.arguments = [
                "s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate,
                "-key", folder.appending(path: "tls.key").path(),
            ]
            process.standardInput = input
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            wait(for: "ACCEPT")
        }

        /// Waits until the server has printed `text`, since it prints all received bytes. False at its end.
        @discardableResult
        func wait(for text: String) -> Bool {
            while !seen.contains(text) {
                let more = output.fileHandleForReading.availableData
                if more.isEmpty { return false }
                seen += String(decoding: more, as: UTF8.self)
            }
            return true
        }

        func answer() throws {
            try input.fileHandleForWriting.write(
                contentsOf: Data("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}".utf8))
        }

        /// Ends the server. Returns its whole output.
        func stop() -> String {
            // terminate() is not used: a child inherits the signal mask of a dispatch thread, which blocks SIGTERM.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            seen += String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            try? FileManager.default.removeItem(at: folder)
            return seen
        }
    }

    @Test("a certificate that nobody vouches for: not sent, and no byte of the request leaves")
    func untrusted() async throws {
        let server = try Server()
        let ended = try await withPoster { try await $0.post(server.url, "Body=432198") }
        #expect(ended.isTLSFailure)
        #expect(!server.stop().contains("Body="))
    }

    @Test("with the certificate in caFile it is sent; under another host's name it is not")
    func trusted() async throws {
        let server = try Server()
        var configuration = HTTPConfiguration()
        configuration.caFile = server.certificate
        try await withPoster(configuration) { poster in
            let other = try await poster.post("https://127.0.0.1:\(server.port)/", "Body=wrong")
            #expect(other.isTLSFailure)
            let url = server.url
            async let ended = poster.post(url, "Body=right")
            #expect(server.wait(for: "Body=right"))
            try server.answer()
            let end = try await ended
            #expect(end == .response(201, "{}"))
        }
        #expect(!server.stop().contains("Body=wrong"))
    }

    @Test("a caFile that is not there: not sent, and said so")
    func missingFile() async throws {
        let server = try Server()
        var configuration = HTTPConfiguration()
        configuration.caFile = "/nonexistent/ca.crt"
        let ended = try await withPoster(configuration) { try await $0.post(server.url) }
        #expect(ended == .notSent(.certificatesUnreadable))
        _ = server.stop()
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
