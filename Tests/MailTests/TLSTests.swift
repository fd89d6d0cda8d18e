import EventLoop
import Glibc
import Mail
import OTP
import TestSupport
import Testing

@Suite("TLS", .timeLimit(.minutes(10)))
struct TLSTests {
    /// `Support/tls_server.py` with its own certificate for localhost.
    private struct Server {
        let folder: String
        let process: Program

        var certificate: String { "\(folder)/tls.crt" }
        /// Everything that it has received.
        var output: String { process.output }

        var port: String {
            output.split(separator: "\n").first.map { String($0.dropFirst("port: ".count)) } ?? ""
        }

        /// Runs `body` with a server, and ends it whatever happens.
        static func run(_ mode: String, _ body: (Server) async throws -> Void) async throws {
            let folder = try Files.makeFolder()
            defer {
                for name in Files.list(folder) { unlink("\(folder)/\(name)") }
                rmdir(folder)
            }
            let openssl = try Program(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=otpd test", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", "\(folder)/tls.key", "-out", "\(folder)/tls.crt",
                ], environment: Environment.base)
            try await eventually("openssl has made a certificate") { openssl.ending }
            let script = "\(Repository.root)/Tests/MailTests/Support/tls_server.py"
            let process = try Program(
                "/usr/bin/python3", [script, mode, "\(folder)/tls.crt", "\(folder)/tls.key"],
                environment: Environment.base)
            let server = Server(folder: folder, process: process)
            try await eventually("the server listens") { server.output.contains("\n") ? true : nil }
            try await body(server)
        }

        /// Sends a mail with a login that the server must never get in clear text.
        func send(
            _ scheme: String = "smtp", host: String = "localhost", caFile: String? = nil, trustsSystem: Bool = false
        ) async throws -> MailCompletion.TransferResult {
            var configuration = MailConfiguration.unhurried
            configuration.caFile = trustsSystem ? nil : caFile ?? certificate
            let server = try MailServer(
                url: "\(scheme)://\(host):\(port)", username: Secret("app"), password: Secret("secret"),
                requiresTLS: true)
            return try await withMailer(configuration) { try await $0.send(server, "Subject: 432198\r\n") }
        }

        /// Whether the login or a part of a mail was received in clear text.
        var leaked: Bool {
            output.split(separator: "\n").contains {
                $0.hasPrefix("clear:")
                    && !["clear: EHLO", "clear: STARTTLS", "clear: QUIT"].contains(where: $0.hasPrefix)
            }
        }
    }

    @Test(
        "with TLS from the first byte and with STARTTLS, the whole mail and the login are inside",
        arguments: [
            ("tls", "smtps"), ("starttls", "smtp"),
        ])
    func secure(mode: String, scheme: String) async throws {
        try await Server.run(mode) { server in
            let end = try await server.send(scheme)
            #expect(end == .accepted(serverText: "queued as 4F2A1"))
            #expect(server.output.contains("tls: Subject: 432198"))
            // "\0app\0secret"
            #expect(server.output.contains("tls: AUTH PLAIN AGFwcABzZWNyZXQ="))
            #expect(!server.leaked)
        }
    }

    @Test("a server, or somebody on the way, that removes STARTTLS: not sent")
    func stripped() async throws {
        try await Server.run("stripped") { server in
            let end = try await server.send()
            #expect(end == .notSent(.tlsNotOffered))
            #expect(!server.leaked)
        }
    }

    @Test("replies in clear text that came with the one to STARTTLS: not sent", arguments: ["injected", "fragment"])
    func injected(mode: String) async throws {
        try await Server.run(mode) { server in
            let end = try await server.send()
            guard case .notSent = end else {
                Issue.record("\(end)")
                return
            }
            #expect(!server.output.contains("MAIL"))
            #expect(!server.output.contains("AUTH"))
        }
    }

    @Test("a login that was confirmed in clear text does not count")
    func fakeLogin() async throws {
        try await Server.run("fake_login") { server in
            let end = try await server.send()
            #expect(end == .notSent(.loginNotOffered))
            #expect(server.output.contains("tls: EHLO"))
            #expect(!server.output.contains("MAIL"))
        }
    }

    @Test("a certificate without a trusted issuer, or of another host: not sent", arguments: ["tls", "starttls"])
    func untrusted(mode: String) async throws {
        let scheme = mode == "tls" ? "smtps" : "smtp"
        try await Server.run(mode) { server in
            let untrusted = try await server.send(scheme, trustsSystem: true)
            #expect(untrusted.isTLSFailure)
            let other = try await server.send(scheme, host: "127.0.0.1")
            #expect(other.isTLSFailure)
            let missing = try await server.send(scheme, caFile: "/nonexistent/ca.crt")
            #expect(missing == .notSent(.certificatesUnreadable))
            #expect(!server.output.contains("AUTH"))
            #expect(!server.leaked)
        }
    }

    @Test("smtps to a server without TLS, and smtp to one that begins with it: not sent")
    func wrongScheme() async throws {
        try await Server.run("starttls") { server in
            let end = try await server.send("smtps")
            #expect(end.isTLSFailure)
        }
        try await withServer { peer in
            // As a server with TLS from the first byte: it waits for the client.
            while peer.readLine() != nil {}
        } _: { server in
            var configuration = MailConfiguration.unhurried
            configuration.connectTimeout = .milliseconds(300)
            let mailServer = try MailServer(url: server.url)
            let end = try await withMailer(configuration) { try await $0.send(mailServer) }
            #expect(end == .notSent(.connectTimedOut))
        }
    }
}
