import EventLoop
import Mail
import OTP
import Synchronization
import TestSupport
import Testing

/// A mail's possible ends, as a row of a table says them.
enum Expected: Sendable, Equatable {
    case accepted
    case refused(MailRefusal.Stage, Int, MailRefusal.Kind)
    case notSent(MailNotSentReason)
    case unknown(MailUnknownReason)

    init(_ end: MailCompletion.TransferResult) {
        self =
            switch end {
            case .accepted: .accepted
            case .refused(let refusal): .refused(refusal.stage, refusal.code, refusal.kind)
            case .notSent(let reason): .notSent(reason)
            case .unknown(let reason): .unknown(reason)
            }
    }
}

@Suite("Every end of a mail is known", .timeLimit(.minutes(10)))
struct OutcomeTests {
    @Test("a mail that the server accepts: its words come with it, and the content arrives once")
    func accepted() async throws {
        let sent = try await sendOne([:])
        #expect(sent.end == .accepted(serverText: "queued as 4F2A1"))
        #expect(sent.mails == ["Subject: x\r\n\r\nhello\r\n"])
        #expect(sent.verbs == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"])
    }

    typealias Row = (step: String, reaction: SMTPPeer.Reaction, end: Expected)

    static let refusals: [Row] = [
        ("GREETING", .close("554 5.3.2 no service here\r\n"), .refused(.connection, 554, .unavailable)),
        ("GREETING", .close("421 4.3.2 too busy\r\n"), .refused(.connection, 421, .unavailable)),
        ("MAIL", .reply("550 5.1.8 bad sender"), .refused(.sender, 550, .senderRefused)),
        ("MAIL", .reply("451 4.3.0 try later"), .refused(.sender, 451, .unavailable)),
        ("MAIL", .reply("530 5.7.0 Authentication required"), .refused(.sender, 530, .authentication)),
        ("MAIL", .reply("530 5.7.0 Must issue a STARTTLS command first"), .refused(.sender, 530, .tlsRequired)),
        ("MAIL", .close("421 4.7.0 closing\r\n"), .refused(.sender, 421, .unavailable)),
        ("RCPT", .reply("550 5.1.1 <user@example.org>: unknown"), .refused(.recipient, 550, .invalidRecipient)),
        ("RCPT", .reply("550 no such user"), .refused(.recipient, 550, .invalidRecipient)),
        ("RCPT", .reply("450 4.7.1 Greylisted"), .refused(.recipient, 450, .greylisted)),
        ("RCPT", .reply("451 come back later"), .refused(.recipient, 451, .greylisted)),
        ("RCPT", .reply("452 4.2.2 full"), .refused(.recipient, 452, .mailboxFull)),
        ("RCPT", .reply("552 full"), .refused(.recipient, 552, .mailboxFull)),
        ("RCPT", .reply("554 5.7.1 Relay access denied"), .refused(.recipient, 554, .relayDenied)),
        ("RCPT", .reply("553 5.6.7 non-ASCII"), .refused(.recipient, 553, .internationalAddress)),
        ("RCPT", .close("421 4.7.28 rate\r\n"), .refused(.recipient, 421, .throttled)),
        ("DATA", .reply("554 5.5.1 no valid recipients"), .refused(.data, 554, .other)),
        ("DATA", .reply("451 4.3.0 later"), .refused(.data, 451, .unavailable)),
        ("DATA", .close("421 4.3.0 later\r\n"), .refused(.data, 421, .unavailable)),
        ("DOT", .reply("554 5.7.1 spam"), .refused(.content, 554, .contentRefused)),
        ("DOT", .reply("550 5.7.26 DMARC"), .refused(.content, 550, .senderRefused)),
        ("DOT", .reply("550 blocked"), .refused(.content, 550, .contentRefused)),
        ("DOT", .reply("552 5.3.4 too big"), .refused(.content, 552, .tooLarge)),
        ("DOT", .reply("451 4.3.0 queue file write error"), .refused(.content, 451, .unavailable)),
        ("DOT", .close("452 4.3.1 no space\r\n"), .refused(.content, 452, .mailboxFull)),
        ("DOT", .close("421 4.3.2 shutting down\r\n"), .refused(.content, 421, .unavailable)),
    ]

    @Test("a refusal at any step: surely not sent, with its step, code and meaning", arguments: refusals)
    func refused(_ row: Row) async throws {
        let sent = try await sendOne([row.step: row.reaction])
        #expect(Expected(sent.end) == row.end)
        #expect(sent.connections == 1)
        if row.step != "DOT" { #expect(sent.mails.isEmpty) }
    }

    static let losses: [Row] = [
        ("GREETING", .close(), .notSent(.connectionLost)),
        ("EHLO", .close(), .notSent(.connectionLost)),
        ("EHLO", .reset(), .notSent(.connectionLost)),
        ("MAIL", .close(), .notSent(.connectionLost)),
        ("MAIL", .reset(), .notSent(.connectionLost)),
        ("MAIL", .close("250 2.1.0 o"), .notSent(.connectionLost)),
        ("MAIL", .close("250 2.1.0 ok\r\n"), .notSent(.connectionLost)),
        ("RCPT", .close(), .notSent(.connectionLost)),
        ("RCPT", .reset(), .notSent(.connectionLost)),
        ("DATA", .close(), .notSent(.connectionLost)),
        ("DATA", .reset(), .notSent(.connectionLost)),
        ("DATA", .close("354 go on\r\n"), .notSent(.connectionLost)),
        ("DOT", .close(), .unknown(.connectionLost)),
        ("DOT", .reset(), .unknown(.connectionLost)),
        ("DOT", .close("250 2.0.0 queu"), .unknown(.connectionLost)),
        ("DOT", .close("250-2.0.0 queued\r\n"), .unknown(.connectionLost)),
        ("DOT", .close("250 2.0.0 queued\r\n"), .accepted),
    ]

    @Test("a server that dies at any step: not sent before the dot, unknown after it", arguments: losses)
    func lost(_ row: Row) async throws {
        let sent = try await sendOne([row.step: row.reaction])
        #expect(Expected(sent.end) == row.end)
        #expect(sent.connections == 1)
    }

    static let garbage: [Row] = [
        ("MAIL", .reply("hello?"), .notSent(.garbled)),
        ("MAIL", .reply("999 what"), .notSent(.garbled)),
        ("MAIL", .reply("354 go on"), .notSent(.garbled)),
        ("MAIL", .reply("250-ok\r\n550 no"), .notSent(.garbled)),
        ("MAIL", .reply(String(repeating: "2", count: 5000)), .notSent(.garbled)),
        ("RCPT", .reply("250ok"), .notSent(.garbled)),
        ("RCPT", .reply("\0\0\0\0"), .notSent(.garbled)),
        ("DATA", .reply("250 ok, but not 354"), .notSent(.garbled)),
        ("DOT", .reply("354 go on"), .unknown(.garbled)),
        ("DOT", .reply("hello?"), .unknown(.garbled)),
        ("DOT", .reply("250-ok\r\n550 no"), .unknown(.garbled)),
        ("DOT", .reply(String(repeating: "250-x\r\n", count: 5000)), .unknown(.garbled)),
    ]

    @Test("a server that sends garbage: not sent before the dot, unknown after it", arguments: garbage)
    func garbled(_ row: Row) async throws {
        let sent = try await sendOne([row.step: row.reaction])
        #expect(Expected(sent.end) == row.end)
        #expect(sent.connections == 1)
    }

    @Test("replies that came before their commands are never taken for an acceptance")
    func early() async throws {
        let all = "250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 queued"
        let sent = try await sendOne(["MAIL": .reply(all)])
        #expect(sent.end == .notSent(.garbled))
        #expect(sent.verbs == ["EHLO", "MAIL"])
        // The same one step before the content.
        let later = try await sendOne(["DATA": .reply("354 go\r\n250 2.0.0 queued")])
        #expect(later.end == .notSent(.garbled))
        #expect(later.mails.isEmpty)
    }

    @Test("a server that replies in the middle of a content: surely not sent, because the dot never leaves")
    func replyInContent() async throws {
        let rows: [(String, Expected)] = [
            ("552 5.3.4 too big", .refused(.content, 552, .tooLarge)), ("250 2.0.0 queued", .notSent(.garbled)),
        ]
        for (reply, wanted) in rows {
            try await withServer {
                $0.serve(["BODY": .reply(reply)])
            } _: { server in
                // More than the sockets hold, so that the reply comes before the end.
                let content = String(repeating: "x: 0123456789\r\n", count: 1_000_000)
                let mailServer = try MailServer(url: server.url)
                try await withMailer { try await $0.expect(wanted, mailServer, content) }
                try await server.allPeersHaveGone()
                #expect(server.mails.isEmpty)
            }
        }
    }

    @Test("a greeting of many lines, and replies 251 and 252")
    func friendly() async throws {
        let greeting = "220-test\r\n220-We do not authorize\r\n220 bulk e-mail."
        for reply in ["251 will forward", "252 cannot verify"] {
            let sent = try await sendOne(["GREETING": .reply(greeting), "RCPT": .reply(reply)])
            #expect(Expected(sent.end) == .accepted)
        }
    }

    @Test(
        "a connection that is lost while it is made: an earlier refusal, after which libcurl went on, is not the reason"
    )
    func lostAfterRefusal() async throws {
        let sent = try await sendOne(["EHLO": .reply("502 unknown"), "HELO": .close()])
        #expect(sent.end == .notSent(.connectionLost))
        #expect(sent.verbs == ["EHLO", "HELO"])
    }

    @Test("a reply of many lines counts with its last one; the first enhanced code is the code")
    func manyLines() async throws {
        let sent = try await sendOne(["RCPT": .reply("550-5.1.1 The account\r\n550-5.1.1 does not\r\n550 5.1.1 exist.")]
        )
        let refusal = try #require(sent.end.refusal)
        #expect(refusal.text == "The account does not exist.")
        #expect(refusal.status?.description == "5.1.1")
        #expect(refusal.isPermanent)
    }

    @Test(
        "a slow server: not sent before the dot, unknown after it",
        arguments: [
            ("GREETING", Expected.notSent(.connectTimedOut)), ("MAIL", .notSent(.timedOut)),
            ("DATA", .notSent(.timedOut)),
            ("DOT", .unknown(.timedOut)),
        ])
    func slow(step: String, end: Expected) async throws {
        // On a busy machine, the short time may be over before the step is reached. Then a longer one follows.
        var configuration = MailConfiguration.unhurried
        for milliseconds in [300, 3000, 30_000] as [Int64] {
            configuration.totalTimeout = .milliseconds(milliseconds)
            let sent = try await sendOne([step: .silence], configuration)
            let isReached =
                switch step {
                case "GREETING": true
                case "DOT": !sent.mails.isEmpty
                default: sent.verbs.contains(step)
                }
            guard isReached else { continue }
            #expect(Expected(sent.end) == end)
            return
        }
        Issue.record("no mail reached the step \(step)")
    }

    @Test("a connection that is not made in time: not sent")
    func slowConnection() async throws {
        var configuration = MailConfiguration.unhurried
        configuration.connectTimeout = .milliseconds(200)
        let sent = try await sendOne(["EHLO": .silence], configuration)
        #expect(sent.end == .notSent(.connectTimedOut))
    }

    @Test("no server at the port: not sent")
    func noServer() async throws {
        let server = try MailServer(url: "smtp://127.0.0.1:\(Loopback.closedPort())")
        let end = try await withMailer { try await $0.send(server) }
        guard case .notSent(.connectFailed) = end else {
            Issue.record("\(end)")
            return
        }
    }

    @Test(
        "mails given up: not sent before the dot, unknown after it",
        arguments: [
            ("MAIL", Expected.notSent(.canceled)), ("DOT", .unknown(.canceled)),
        ])
    func canceled(step: String, end: Expected) async throws {
        try await withServer {
            $0.serve([step: .silence])
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                async let sent = mailer.send(mailServer)
                try await eventually("the server is at \(step)") {
                    let peer = server.accepted.first
                    return (step == "DOT" ? peer?.mails.withLock { $0.count } == 1 : peer?.verbs.last == step)
                        ? true : nil
                }
                await mailer.cancelAll()
                let sentEnd = Expected(try await sent)
                #expect(sentEnd == end)
                #expect(await mailer.inFlight() == 0)
            }
        }
    }
}

@Suite("The login", .timeLimit(.minutes(10)))
struct LoginTests {
    static let login = ["AUTH PLAIN LOGIN GSSAPI"]

    @Test("user name and password go by PLAIN, also if the name has an @ and the server offers Kerberos")
    func plain() async throws {
        let sent = try await sendOne([:], extensions: Self.login, login: "app@example.com")
        #expect(Expected(sent.end) == .accepted)
        #expect(sent.verbs == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"])
    }

    @Test("a server that knows LOGIN alone gets that")
    func byLogin() async throws {
        let sent = try await sendOne([:], extensions: ["AUTH LOGIN"], login: "app")
        #expect(Expected(sent.end) == .accepted)
    }

    @Test(
        "a wrong password is an end of its own: the login was refused",
        arguments: [
            ("535 5.7.8 Username and Password not accepted", 535), ("535 no", 535),
            ("534 5.7.9 password for apps needed", 534),
            ("454 4.7.0 Temporary authentication failure", 454),
        ])
    func refused(reply: String, code: Int) async throws {
        let sent = try await sendOne(["AUTH": .reply(reply)], extensions: Self.login, login: "app")
        #expect(Expected(sent.end) == .refused(.login, code, .authentication))
        #expect(sent.end.refusal?.isPermanent == (code >= 500))
        #expect(!sent.verbs.contains("MAIL"))
    }

    @Test("a server that offers no login gets no mail from a client that has one", arguments: [[], ["AUTH GSSAPI"]])
    func notOffered(extensions: [String]) async throws {
        let sent = try await sendOne([:], extensions: extensions, login: "app")
        #expect(sent.end == .notSent(.loginNotOffered))
        #expect(!sent.verbs.contains("MAIL"))
    }

    @Test("a check logs in and sends nothing")
    func check() async throws {
        try await withServer {
            $0.serve(extensions: Self.login)
        } _: { server in
            try await withMailer { mailer in
                let good = try MailServer(url: server.url, username: .init("a"), password: .init("b"))
                try await mailer.client.check(good, deadline: .now() + .seconds(120))
            }
            #expect(server.accepted.flatMap(\.verbs) == ["EHLO", "AUTH", "QUIT"])
        }
        try await withServer {
            $0.serve(["AUTH": .reply("535 5.7.8 no")], extensions: Self.login)
        } _: { server in
            try await withMailer { mailer in
                let bad = try MailServer(url: server.url, username: .init("a"), password: .init("b"))
                let error = await #expect(throws: MailError.self) {
                    try await mailer.client.check(bad, deadline: .now() + .seconds(120))
                }
                #expect(error?.description.contains("OTPD_SMTP_PASSWORD") == true)
            }
        }
    }
}

@Suite("Addresses that need SMTPUTF8", .timeLimit(.minutes(10)))
struct InternationalTests {
    @Test("go to a server that offers it, and MAIL FROM says so")
    func offered() async throws {
        try await withServer {
            $0.serve()
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            let end = try await withMailer { try await $0.send(mailServer, to: "почта@bücher.example") }
            #expect(Expected(end) == .accepted)
            let ascii = try await withMailer { try await $0.send(mailServer) }
            #expect(Expected(ascii) == .accepted)
            // An address in ASCII does not need it, and the next server may not offer it.
            #expect(server.accepted[1].commands.withLock { $0 }.contains("MAIL FROM:<app@example.com>"))
            let commands = server.accepted[0].commands.withLock { $0 }
            #expect(commands.contains("MAIL FROM:<app@example.com> SMTPUTF8"))
            #expect(commands.contains("RCPT TO:<почта@xn--bcher-kva.example>"))
        }
    }

    @Test("never go to a server that does not; the connection serves the next mail")
    func notOffered() async throws {
        try await withServer {
            $0.serve(extensions: ["8BITMIME"])
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                let end = try await mailer.send(mailServer, to: "почта@example.org")
                #expect(end == .notSent(.internationalAddress))
                // A domain alone needs no SMTPUTF8.
                let next = try await mailer.send(mailServer, to: "post@bücher.example")
                #expect(Expected(next) == .accepted)
            }
            #expect(server.accepted.count == 1)
            #expect(!server.accepted[0].commands.withLock { $0 }.contains { $0.contains("SMTPUTF8") })
        }
    }
}
