import Testing

@testable import TwilioSimulator

/// Conversations without a socket.
@Suite struct SMTPSessionTests {
    /// The codes of the replies to these lines.
    private func codes(_ lines: [String], _ session: inout SMTPSession) -> [Int] {
        var codes: [Int] = []
        for line in lines {
            if let event = session.receive(Array(line.utf8)) { codes.append(event.reply.code) }
        }
        return codes
    }

    private func codes(_ lines: String..., rules: SMTPRules = SMTPRules()) -> [Int] {
        var session = SMTPSession(rules, isSecure: false)
        return codes(lines, &session)
    }

    @Test func aMailIsDelivered() {
        var session = SMTPSession(SMTPRules(), isSecure: false)
        let lines = [
            "EHLO x", "MAIL FROM:<a@x> SIZE=9 BODY=8BITMIME", "rcpt to:<b@x>", "RCPT TO:<c@x>", "DATA", "S: t", "",
            "..dot",
        ]
        #expect(codes(lines, &session) == [250, 250, 250, 250, 354])
        let event = session.receive(Array(".".utf8))
        #expect(event?.step == .final && event?.reply.code == 250 && event?.to == "b@x")
        let content = Array("S: t\r\n\r\n.dot\r\n".utf8)
        #expect(event?.effect == .deliver(.init(from: "a@x", to: ["b@x", "c@x"], content: content)))
        #expect(codes(["DATA", "MAIL FROM:<>", "QUIT"], &session) == [503, 250, 221])
    }

    @Test func ordersAndSyntax() {
        #expect(
            codes("MAIL FROM:<a@x>", "EHLO x", "RCPT TO:<b@x>", "DATA", "MAIL FROM:<a@x>", "MAIL FROM:<a@x>", "DATA")
                == [503, 250, 503, 503, 250, 503, 503])
        #expect(
            codes("EHLO", "HELO x", "NOOP", "RSET", "VRFY a", "", "DATA x", "STARTTLS", "STARTTLS x", "\u{1}")
                == [501, 250, 250, 250, 500, 500, 501, 502, 501, 500])
    }

    @Test(arguments: [
        ("<a@x>", 250), ("<>", 250), ("<a@x> SIZE=10485761", 552), ("<a@x> SIZE=x", 501), ("<a@x> SIZE=-1", 501),
        ("<a@x> BODY=BINARYMIME", 501), ("<a@x> FOO=1", 555), ("a@x", 501), ("<a@x", 501), ("<a>", 501), ("<@x>", 501),
        ("<a@>", 501), ("<a b@x>", 501), ("<ü@x>", 553), ("<ü@x> SMTPUTF8", 250), ("", 501),
    ])
    func senders(argument: String, code: Int) {
        #expect(codes("EHLO x", "MAIL FROM:" + argument) == [250, code])
    }

    @Test func recipients() {
        #expect(
            codes("EHLO x", "MAIL FROM:<a@x>", "RCPT TO:<>", "RCPT TO:<ü@x>", "RCPT TO:b@x", "RCPT TO:<b@x>")
                == [250, 250, 501, 553, 501, 250])
        var session = SMTPSession(SMTPRules(), isSecure: false)
        _ = codes(["EHLO x", "MAIL FROM:<a@x>"], &session)
        let many = Array(repeating: "RCPT TO:<b@x>", count: SMTPSession.maxRecipients + 1)
        #expect(codes(many, &session).suffix(2) == [250, 452])
    }

    @Test func aMailThatIsTooLargeIsRefusedAtItsEnd() {
        var session = SMTPSession(SMTPRules(maxBytes: 10), isSecure: false)
        let begin = ["EHLO x", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA"]
        #expect(codes(begin + ["12345678", "."], &session).last == 250)
        #expect(codes(begin.dropFirst() + ["123456789", "1", "."], &session).last == 552)
        #expect(codes(begin.dropFirst() + ["."], &session).last == 250)
    }

    @Test(arguments: [
        (["AUTH PLAIN AHVzZXIAcHc="], [235]), (["AUTH PLAIN", "AHVzZXIAcHc="], [334, 235]),
        (["AUTH LOGIN", "dXNlcg==", "cHc="], [334, 334, 235]), (["AUTH LOGIN dXNlcg==", "cHc="], [334, 235]),
        (["AUTH PLAIN AHVzZXIAeA=="], [535]), (["AUTH LOGIN", "dXNlcg==", "eA=="], [334, 334, 535]),
        (["AUTH PLAIN !"], [501]), (["AUTH PLAIN", "*"], [334, 501]), (["AUTH LOGIN", "*", "NOOP"], [334, 501, 250]),
        (["AUTH CRAM-MD5"], [504]), (["AUTH"], [501]), (["AUTH PLAIN AHVzZXIAcHc=", "AUTH PLAIN x"], [235, 503]),
        (["MAIL FROM:<a@x>"], [530]), (["AUTH PLAIN AHVzZXIAcHc=", "MAIL FROM:<a@x>"], [235, 250]),
    ])
    func signingIn(lines: [String], replies: [Int]) {
        var session = SMTPSession(SMTPRules(user: "user", password: "pw"), isSecure: false)
        #expect(codes(["EHLO x"] + lines, &session) == [250] + replies)
    }

    @Test func anyUserIsFine() {
        #expect(codes("EHLO x", "AUTH PLAIN AHVzZXIAcHc=") == [250, 235])
        // No user at all.
        #expect(codes("EHLO x", "AUTH PLAIN AABwdw==") == [250, 535])
        #expect(codes("AUTH PLAIN AHVzZXIAcHc=") == [503])
    }

    @Test func withACertificateEverythingNeedsTLS() throws {
        var session = SMTPSession(SMTPRules(offersTLS: true), isSecure: false)
        let greeted = session.receive(Array("EHLO x".utf8))
        let hello = try #require(greeted)
        #expect(hello.reply.lines.contains("STARTTLS") && !hello.reply.lines.contains("AUTH PLAIN LOGIN"))
        #expect(codes(["MAIL FROM:<a@x>", "AUTH PLAIN AHVzZXIAcHc="], &session) == [530, 538])
        #expect(session.receive(Array("STARTTLS".utf8))?.effect == .startTLS)
        session.becameSecure()
        #expect(codes(["MAIL FROM:<a@x>", "STARTTLS"], &session) == [503, 502])
        let greetedAgain = session.receive(Array("EHLO x".utf8))
        let again = try #require(greetedAgain)
        #expect(!again.reply.lines.contains("STARTTLS") && again.reply.lines.contains("AUTH PLAIN LOGIN"))
        #expect(codes(["AUTH PLAIN AHVzZXIAcHc=", "MAIL FROM:<a@x>"], &session) == [235, 250])
    }

    @Test func linesEndAtCRLFAlone() {
        var lines = LineBuffer()
        lines.append(Array("a\r\nb\n.\nc\rd\r".utf8))
        #expect(lines.next() == Array("a".utf8))
        #expect(lines.next() == nil)
        lines.append(Array("\n\r\n".utf8))
        #expect(lines.next() == Array("b\n.\nc\rd".utf8))
        #expect(lines.next() == [])
        #expect(lines.next() == nil)
        lines.append([UInt8](repeating: 0x61, count: 1 << 20) + [0x61])
        #expect(lines.next() == nil)
        #expect(lines.isTooLong)
        lines.clear()
        #expect(!lines.isTooLong)
    }

    @Test func repliesOfSeveralLines() {
        #expect(String(utf8: SMTPReply(250, "a", "b").bytes) == "250-a\r\n250 b\r\n")
    }
}

@Suite struct MailFaultTests {
    private func apply(_ json: String, to simulator: Simulator) throws {
        try simulator.applyFaults(Array("{\"smtp\": \(json)}".utf8))
    }

    @Test func countedRules() throws {
        let simulator = try Simulator(settings())
        try apply(
            "[{\"on\": \"rcpt\", \"fault\": \"reply\", \"code\": 450, \"text\": \"4.2.1 later\", \"count\": 2},"
                + " {\"on\": \"final\", \"fault\": \"close\", \"to\": \"B@x\"}]", to: simulator)
        #expect(simulator.mailFault(.mail, to: nil) == nil)
        #expect(simulator.mailFault(.rcpt, to: "a@x") == .reply(code: 450, text: "4.2.1 later"))
        #expect(simulator.mailFault(.rcpt, to: "b@x") != nil)
        #expect(simulator.mailFault(.rcpt, to: "b@x") == nil)
        #expect(simulator.mailFault(.final, to: "a@x") == nil)
        #expect(simulator.mailFault(.final, to: "b@X") == .close)
        #expect(simulator.mailFault(.final, to: "b@x") == nil)
        #expect(simulator.statistics.faults == ["smtp_reply": 2, "smtp_close": 1])
    }

    @Test(arguments: [
        "{}", "[{}]", "[{\"on\": \"rcpt\"}]", "[{\"on\": \"helo\", \"fault\": \"close\"}]",
        "[{\"on\": \"rcpt\", \"fault\": \"busy\"}]", "[{\"on\": \"rcpt\", \"fault\": \"reply\", \"code\": 250}]",
        "[{\"on\": \"rcpt\", \"fault\": \"reply\", \"text\": \"a\\r\\nb\"}]",
        "[{\"on\": \"content\", \"fault\": \"slow\"}]", "[{\"on\": \"rcpt\", \"fault\": \"close\", \"cuont\": 1}]",
    ])
    func aBadRuleChangesNothing(json: String) throws {
        let simulator = try Simulator(settings())
        #expect(throws: ControlError.self) { try apply(json, to: simulator) }
        for step in MailStep.allCases { #expect(simulator.mailFault(step, to: "a@x") == nil) }
    }

    @Test(
        arguments: [
            ("rcpt-550@x", MailStep.rcpt, .reply(code: 550, text: "5.1.1 No such user here"), false),
            ("user+rcpt-450@x", .rcpt, .reply(code: 450, text: "4.2.1 Mailbox busy, try again later"), true),
            ("Final-451@X", .final, .reply(code: 451, text: "4.3.0 Local error, try again later"), true),
            ("close-before@x", .final, .close, true), ("a+close-after@x", .final, .keepThenClose, true),
            ("slow@x", .final, .slow(milliseconds: 3000), true), ("never@x", .final, .never, true),
        ] as [(String, MailStep, MailFault, Bool)])
    func magicAddresses(to: String, step: MailStep, fault: MailFault, isOnce: Bool) throws {
        let simulator = try Simulator(settings())
        for other in MailStep.allCases where other != step { #expect(simulator.mailFault(other, to: to) == nil) }
        #expect(simulator.mailFault(step, to: to) == fault)
        #expect(simulator.mailFault(step, to: to) == (isOnce ? nil : fault))
    }

    @Test(arguments: ["a@x", "rcpt-250@x", "rcpt-@x", "rcpt-600@x", "final-x@x", "close@x", "@x", "", "a@rcpt-550"])
    func plainAddresses(to: String) {
        #expect(MagicAddresses.fault(to) == nil)
    }
}
