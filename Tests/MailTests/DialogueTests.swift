import TestSupport
import Testing

@testable import Mail

@Suite("SMTPReplyReader")
struct ReplyReaderTests {
    private func read(_ text: String) throws -> [SMTPReply] {
        var reader = SMTPReplyReader()
        return try text.utf8.compactMap { try reader.take($0) }
    }

    @Test("replies of one line and of many, with CR LF and LF")
    func whole() throws {
        let replies = try read("220 hi\r\n250-a\r\n250-SIZE 10\n250 smtputf8\r\n354\r\n421-\r\n421 \r\n")
        #expect(replies.map(\.code) == [220, 250, 354, 421])
        #expect(replies[1].lines.map { String(decoding: $0, as: UTF8.self) } == ["a", "SIZE 10", "smtputf8"])
        #expect(replies[1].offers("SMTPUTF8"))
        #expect(replies[1].offers("SIZE"))
        // The first line is the server's name.
        #expect(!replies[1].offers("A"))
        #expect(!replies[1].offers("SMTP"))
    }

    @Test(
        "what is no reply",
        arguments: [
            "\r\n", "hello\r\n", "25\r\n", "2500 x\r\n", "199 x\r\n", "600 x\r\n", "250_x\r\n", "250-a\r\n251 b\r\n",
            " 250 x\r\n",
            "+OK\r\n", "HTTP/1.1 400 Bad Request\r\n", "250\tx\r\n", "２５０ x\r\n",
        ])
    func garbled(text: String) { #expect(throws: SMTPReplyReader.Garbled.self) { try read(text) } }

    @Test("endless lines and endless replies end")
    func endless() {
        #expect(throws: SMTPReplyReader.Garbled.self) { try read(String(repeating: "2", count: 3000)) }
        #expect(throws: SMTPReplyReader.Garbled.self) { try read(String(repeating: "250-x\r\n", count: 3000)) }
    }

    @Test("bytes at random never trap, and every reply has a code of 200 to 599", arguments: 0..<5)
    func random(seed: Int) {
        var random = SeededGenerator(seed)
        var reader = SMTPReplyReader()
        let alphabet = Array("0123456789 -\r\n\0aé".utf8)
        for _ in 0..<5_000 {
            do {
                if let reply = try reader.take(alphabet.randomElement(using: &random)!) {
                    #expect((200...599).contains(reply.code))
                }
            } catch { reader = SMTPReplyReader() }
        }
    }
}

@Suite("SMTPDialogue")
struct DialogueTests {
    private func reply(_ code: Int) -> SMTPReply { SMTPReply(code: code, lines: [[]]) }

    @Test("the usual way")
    func usual() {
        var dialogue = SMTPDialogue(isReused: false, needsReset: false)
        #expect(dialogue.first == .sendSender)
        #expect(dialogue.take(reply(250)) == .sendRecipient)
        #expect(dialogue.take(reply(251)) == .sendData)
        #expect(dialogue.take(reply(354)) == .sendContent)
        #expect(!dialogue.mayBeAccepted)
        dialogue.dotLeaves()
        #expect(dialogue.mayBeAccepted)
        #expect(dialogue.take(reply(250)) == .finish(.accepted(reply(250)), .keep))
    }

    @Test("after a mail that was refused halfway, RSET comes first")
    func reset() {
        var dialogue = SMTPDialogue(isReused: true, needsReset: true)
        #expect(dialogue.first == .sendReset)
        #expect(dialogue.isStaleIfLost)
        #expect(dialogue.take(reply(250)) == .sendSender)
        #expect(!dialogue.isStaleIfLost)
    }

    /// Every path of replies from every start, with the dot at every step at which it may leave.
    @Test("no path of replies accepts a mail before the dot, or sends one again after it")
    func allPaths() {
        var visited = 0
        func visit(_ dialogue: SMTPDialogue, _ depth: Int) {
            visited += 1
            if dialogue.mayBeAccepted { #expect(!dialogue.isStaleIfLost) }
            guard depth > 0 else { return }
            if dialogue.step == .content {
                var next = dialogue
                next.dotLeaves()
                visit(next, depth - 1)
            }
            for code in [200, 220, 235, 250, 251, 252, 334, 354, 399, 421, 450, 451, 452, 499, 500, 550, 552, 554, 599]
            {
                var next = dialogue
                switch next.take(reply(code)) {
                case .finish(.accepted, _):
                    #expect(dialogue.mayBeAccepted)
                    #expect(code < 300)
                case .finish(.stale, let connection):
                    #expect(!dialogue.mayBeAccepted)
                    #expect(connection == .close)
                case .finish(.refused(let reply, _), let connection):
                    #expect(reply.code >= 400)
                    if code == 421 { #expect(connection == .close) }
                case .finish(.garbled, let connection): #expect(connection == .close)
                default: visit(next, depth - 1)
                }
            }
        }
        for (isReused, needsReset) in [(false, false), (true, false), (true, true)] {
            visit(SMTPDialogue(isReused: isReused, needsReset: needsReset), 8)
        }
        #expect(visited > 20)
    }
}

@Suite("MailRefusal")
struct RefusalTests {
    private func refusal(_ line: String, _ stage: MailRefusal.Stage) throws -> MailRefusal {
        var reader = SMTPReplyReader()
        let replies = try (line + "\r\n").utf8.compactMap { try reader.take($0) }
        return MailRefusal(replies[0], stage)
    }

    /// Replies of common servers.
    @Test(
        arguments: [
            (
                "550-5.1.1 The email account that you tried to reach does not exist.\r\n550 5.1.1 https://x",
                .recipient, .invalidRecipient
            ),
            ("552-5.2.2 The recipient's inbox is out of storage space.\r\n552 5.2.2 x", .recipient, .mailboxFull),
            (
                "450-4.2.1 The user you are trying to contact is receiving mail too quickly.\r\n450 4.2.1 x",
                .recipient, .throttled
            ),
            ("550 5.4.5 Daily user sending limit exceeded.", .sender, .throttled),
            ("421 4.7.28 Our system has detected an unusual rate of mail", .content, .throttled),
            (
                "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\r\n550 5.7.26 x",
                .content, .senderRefused
            ),
            ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", .content, .senderRefused),
            ("535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 x", .login, .authentication),
            ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled", .login, .authentication),
            ("530 5.7.57 Client not authenticated to send mail", .sender, .authentication),
            ("554 5.7.1 <a@example.org>: Relay access denied", .recipient, .relayDenied),
            ("550 relay not permitted", .recipient, .relayDenied),
            ("450 4.2.0 <a@example.org>: Recipient address rejected: Greylisted", .recipient, .greylisted),
            (
                "450 4.7.1 <a@example.org>: Recipient address rejected: Greylisted, see http://x", .recipient,
                .greylisted
            ),
            ("554 Message rejected: Email address is not verified.", .content, .contentRefused),
            ("552 5.3.4 Message size exceeds fixed limit", .sender, .tooLarge),
            ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", .content, .invalidRecipient),
            ("553 5.1.3 The recipient address is not valid", .recipient, .invalidRecipient),
            ("554 5.6.7 Internationalized address but SMTPUTF8 not offered", .recipient, .internationalAddress),
            ("500 5.5.2 Syntax error", .sender, .senderRefused),
        ] as [(String, MailRefusal.Stage, MailRefusal.Kind)])
    func kinds(line: String, stage: MailRefusal.Stage, kind: MailRefusal.Kind) throws {
        let refusal = try refusal(line, stage)
        #expect(refusal.kind == kind)
        #expect(refusal.isPermanent == line.hasPrefix("5"))
    }

    @Test("its words hold no address, no control character, and are not endless")
    func words() throws {
        let refusal = try refusal(
            "550 5.1.1 <some.one@example.org>: user\u{1B}[31m some.one＠example.org \u{202E}unknown\0 \(String(repeating: "x ", count: 900))",
            .recipient)
        #expect(refusal.text.hasPrefix("… user [31m … unknown x x"))
        #expect(refusal.text.count <= 301)
        #expect(!"\(refusal)".contains("some.one"))
        #expect("\(refusal)".hasPrefix("the mail server refused the recipient's address with 550 5.1.1, the mailbox"))
    }

    @Test(
        "enhanced codes",
        arguments: [
            ("5.1.1 x", "5.1.1"), ("2.0.0", "2.0.0"), ("4.7.128 x", "4.7.128"), ("3.1.1 x", nil), ("5.1 x", nil),
            ("5.1.1.1", nil),
            ("5.1.1234", nil), ("5..1", nil), ("", nil), ("5.1.x", nil),
        ])
    func status(line: String, text: String?) { #expect(EnhancedStatus(Array(line.utf8))?.description == text) }

    @Test("every kind has words and a remedy", arguments: MailRefusal.Kind.allCases)
    func remedies(kind: MailRefusal.Kind) { #expect(!kind.rawValue.isEmpty) }
}

@Suite("DotStuffing")
struct DotStuffingTests {
    @Test(arguments: [
        ("a\r\n", "a\r\n"), ("a", "a\r\n"), (".\r\n", "..\r\n"), (".", "..\r\n"), ("a\r\n.b\r\n", "a\r\n..b\r\n"),
        ("a\r\n.\r\nMAIL FROM:<x>\r\n", "a\r\n..\r\nMAIL FROM:<x>\r\n"), ("a\n.\nb", "a\r\n..\r\nb\r\n"),
        ("a\r.\rb", "a\r\n..\r\nb\r\n"), ("a\r\r\n.\r\n", "a\r\n\r\n..\r\n"), ("a\n\r.\r\n", "a\r\n\r\n..\r\n"),
        ("a.b\r\n", "a.b\r\n"),
        ("..\r\n", "...\r\n"), ("\r\n", "\r\n"), ("a\r", "a\r\n"),
    ])
    func rows(content: String, wanted: String) {
        var bytes = Array(content.utf8)
        DotStuffing.apply(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == wanted)
    }

    @Test("no content can end itself", arguments: 0..<10)
    func random(seed: Int) {
        var random = SeededGenerator(seed)
        for _ in 0..<500 {
            let content = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                "\r\n.a".utf8.randomElement(using: &random)!
            }
            var bytes = content
            DotStuffing.apply(to: &bytes)
            // As a server reads it: lines that end with CR LF, and a bare CR or LF that some take for a line's end.
            let text = "\r\n" + String(decoding: bytes, as: UTF8.self)
            #expect(bytes.suffix(2) == [13, 10])
            for end in ["\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\r"] {
                #expect(!text.utf8.elementsContain(end.utf8))
            }
            #expect(!zip(bytes, bytes.dropFirst()).contains { ($0 == 13) != ($1 == 10) })
        }
    }
}

extension Collection where Element: Equatable {
    func elementsContain(_ other: some Collection<Element>) -> Bool {
        indices.contains { self[$0...].starts(with: other) }
    }
}
