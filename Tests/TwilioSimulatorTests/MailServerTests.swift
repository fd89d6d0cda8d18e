import Foundation
import TestSupport
import Testing

@testable import TwilioSimulator

/// The sink of e-mails over sockets.
@Suite struct MailServerTests {
    /// A client that reads replies line by line.
    private struct Client {
        let socket: Socket

        init(_ port: Int) throws { socket = try Socket(port: port) }

        /// The code of the next reply; nil if the connection ends instead.
        func reply() async throws -> Int? {
            var text = ""
            return try await eventually("a reply") {
                while let more = try socket.receive() {
                    if more.isEmpty { return .some(nil) }
                    text += String(utf8: more)
                    let last = text.split(separator: "\r\n").last ?? ""
                    if text.hasSuffix("\r\n"), last.dropFirst(3).first == " " { return Int(last.prefix(3)) }
                }
                return nil
            }
        }

        /// Sends a line, and returns the reply's code.
        func say(_ line: String) async throws -> Int? {
            try await socket.send(line + "\r\n")
            return try await reply()
        }
    }

    /// Runs `body` with the ports of the sink and of the control API.
    private func withMail(
        faults: String = "", _ body: (_ mail: Int, _ control: Int) async throws -> Void
    ) async throws {
        let settings = settings {
            $0.faults = Array(faults.utf8)
            $0.mail = MailSettings()
            $0.mail?.port = 0
        }
        try await withSimulator(settings) { try await body(try #require($0.mailPort), $0.port) }
    }

    private func messages(_ control: Int) async throws -> [[String: Any]] {
        let wire = try Socket(port: control)
        try await wire.send(rawGet("/_sim/inbox?channel=email"))
        return try await json(wire.receiveMessage().body)["messages"] as? [[String: Any]] ?? []
    }

    /// The codes of the replies, up to the end of a mail or of the connection.
    private func mail(_ port: Int, to: String = "user@example.com") async throws -> [Int?] {
        let client = try Client(port)
        var codes = [try await client.reply()]
        for line in [
            "EHLO x", "MAIL FROM:<a@example.com>", "RCPT TO:<\(to)>", "DATA",
            "Subject: Code\r\n\r\nYour code is: 482913\r\n.",
        ] {
            guard let last = codes.last, let code = last, code < 400 else { break }
            codes.append(try await client.say(line))
        }
        return codes
    }

    @Test func keepsAMail() async throws {
        try await withMail { port, control in
            #expect(try await mail(port) == [220, 250, 250, 250, 354, 250])
            let kept = try await messages(control)
            #expect(kept.map { $0["to"] as? String } == ["user@example.com"])
            #expect(kept.first?["subject"] as? String == "Code")
            #expect(kept.first?["code"] as? String == "482913")
        }
    }

    @Test func answersPipelinedCommandsInOrder() async throws {
        try await withMail { port, control in
            let wire = try Socket(port: port)
            let lines = ["EHLO x", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "Subject: p", "", ".", "QUIT", ""]
            try await wire.send(lines.joined(separator: "\r\n"))
            let text = try await wire.receiveToEnd()
            let codes = text.split(separator: "\r\n").filter { $0.dropFirst(3).first == " " }.map {
                String($0.prefix(3))
            }
            #expect(codes == ["220", "250", "250", "250", "354", "250", "221"])
            #expect(try await messages(control).count == 1)
        }
    }

    @Test(
        arguments: [
            ("connect", "reply", [421], 0), ("ehlo", "reply", [220, 421], 0), ("mail", "reply", [220, 250, 421], 0),
            ("rcpt", "reply", [220, 250, 250, 421], 0), ("data", "reply", [220, 250, 250, 250, 421], 0),
            ("final", "reply", [220, 250, 250, 250, 354, 421], 0), ("connect", "close", [nil], 0),
            ("rcpt", "close", [220, 250, 250, nil], 0), ("data", "close", [220, 250, 250, 250, nil], 0),
            ("content", "close", [220, 250, 250, 250, 354, nil], 0),
            ("final", "close", [220, 250, 250, 250, 354, nil], 0),
            ("final", "keep_then_close", [220, 250, 250, 250, 354, nil], 1),
            ("final", "slow", [220, 250, 250, 250, 354, 250], 1), ("mail", "slow", [220, 250, 250, 250, 354, 250], 1),
        ] as [(String, String, [Int?], Int)])
    func faultsStrikeTheirStep(on: String, fault: String, codes: [Int?], kept: Int) async throws {
        let rule = "{\"smtp\": [{\"on\": \"\(on)\", \"fault\": \"\(fault)\", \"code\": 421, \"ms\": 20}]}"
        try await withMail(faults: rule) { port, control in
            let first = try await mail(port)
            #expect(first == codes)
            #expect(try await messages(control).count == kept)
            // Only once.
            #expect(try await mail(port) == [220, 250, 250, 250, 354, 250])
            #expect(try await messages(control).count == kept + 1)
        }
    }

    @Test func aRefusalLeavesTheConnectionUsable() async throws {
        let rule = "{\"smtp\": [{\"on\": \"final\", \"fault\": \"reply\", \"code\": 451}]}"
        try await withMail(faults: rule) { port, control in
            let client = try Client(port)
            #expect(try await client.reply() == 220)
            #expect(try await client.say("EHLO x") == 250)
            for last in [451, 250] {
                #expect(try await client.say("MAIL FROM:<a@x>") == 250)
                #expect(try await client.say("RCPT TO:<b@x>") == 250)
                #expect(try await client.say("DATA") == 354)
                #expect(try await client.say("x\r\n.") == last)
            }
            #expect(try await messages(control).count == 1)
            let wire = try Socket(port: control)
            try await wire.send(rawGet("/_sim/stats"))
            let channels = try await json(wire.receiveMessage().body)["channels"] as? [String: [String: Int]]
            #expect(channels?["email"]?["creates"] == 2 && channels?["email"]?["created"] == 1)
            #expect(channels?["email"]?["too_many_requests"] == 1)
        }
    }

    @Test func neverAnswersAndKeeps() async throws {
        try await withMail { port, control in
            let client = try Client(port)
            _ = try await client.reply()
            for line in ["EHLO x", "MAIL FROM:<a@x>", "RCPT TO:<never@x>", "DATA"] { _ = try await client.say(line) }
            try await client.socket.send("x\r\n.\r\nNOOP\r\n")
            try await eventually("the mail is kept") { try await messages(control).count == 1 ? true : nil }
            #expect(try client.socket.receive() == nil)
        }
    }

    @Test func aLineWithoutAnEndEndsTheConnection() async throws {
        try await withMail { port, _ in
            let client = try Client(port)
            _ = try await client.reply()
            try await client.socket.send([UInt8](repeating: 0x61, count: (1 << 20) + 10))
            // A close with unread bytes may be a reset.
            try await eventually("the connection ends") {
                do {
                    return try client.socket.receive()?.isEmpty == true ? true : nil
                } catch {
                    return true
                }
            }
            #expect(try await mail(port).last == 250)
        }
    }

    @Test func badTLSIsAFailure() throws {
        for certificate in [
            MailSettings.Certificate.files(certificate: "/nonexistent", key: "/nonexistent"),
            .selfSigned(path: "/nonexistent/x"),
        ] {
            #expect(throws: TLSFailure.self) {
                try SimulatorServer(
                    settings {
                        $0.mail = MailSettings()
                        $0.mail?.port = 0
                        $0.mail?.certificate = certificate
                    })
            }
        }
    }

    /// A mail by curl, over STARTTLS or over TLS from the first byte, with the certificate that the simulator made.
    @Test(arguments: ["smtp", "smtps"])
    func curlSendsOverTLS(scheme: String) async throws {
        let folder = try Files.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let text =
            "Message-ID: <curl@x>\r\nSubject: TLS\r\n\r\nYour code is: 482913\r\n..\r\n"
            + String(repeating: String(repeating: "x", count: 70) + "\r\n", count: 1000)
        try Files.write(text, to: folder + "/mail")
        let settings = settings {
            $0.mail = MailSettings()
            $0.mail?.port = 0
            $0.mail?.tlsPort = 0
            $0.mail?.certificate = .selfSigned(path: folder + "/ca.pem")
            $0.mail?.rules = SMTPRules(offersTLS: true, user: "user", password: "pw")
        }
        try await withSimulator(settings) { server in
            let port = try #require(scheme == "smtp" ? server.mailPort : server.mailTLSPort)
            func curl(_ arguments: [String]) async throws -> Int32 {
                let program = try Program(
                    "/usr/bin/curl",
                    [
                        "-sS", "--max-time", "60", "--ssl-reqd", "--mail-from", "a@x", "--mail-rcpt", "b@x",
                        "--upload-file",
                        folder + "/mail", "\(scheme)://localhost:\(port)",
                    ] + arguments,
                    environment: ["PATH": "/usr/bin:/bin"])
                return try await program.exit()
            }
            let trusted = ["--cacert", folder + "/ca.pem"]
            #expect(try await curl(trusted + ["--user", "user:pw"]) == 0)
            #expect(try await curl(trusted + ["--user", "user:x"]) == 67)
            // Without the certificate, the client does not trust the server.
            #expect(try await curl(["--user", "user:pw"]) == 60)
            let kept = try await messages(server.port)
            #expect(kept.map { $0["message_id"] as? String } == ["curl@x"])
            let body = kept.first?["body"] as? String ?? ""
            #expect(body.hasPrefix("Your code is: 482913\n..\nxxx") && body.utf8.count > 70_000)
        }
    }
}
