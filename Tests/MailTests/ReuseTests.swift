import EventLoop
import Mail
import OTP
import Synchronization
import TestSupport
import Testing

@Suite("A mail is sent at most once, on new and on used connections", .timeLimit(.minutes(10)))
struct ReuseTests {
    @Test("one connection carries one mail after another, also after refusals")
    func reuse() async throws {
        try await withServer { peer in
            peer.serve { step, count in
                switch (step, count) {
                case ("RCPT", 1): .reply("550 5.1.1 no")
                case ("DOT", 1): .reply("554 5.7.1 spam")
                default: nil
                }
            }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                var ends: [Expected] = []
                for _ in 0..<5 { ends.append(Expected(try await mailer.send(mailServer))) }
                #expect(
                    ends == [
                        .accepted, .refused(.recipient, 550, .invalidRecipient),
                        .refused(.content, 554, .contentRefused), .accepted, .accepted,
                    ])
            }
            #expect(server.accepted.count == 1)
            // RSET comes before the mail after a refused recipient, and only there.
            let verbs = server.accepted[0].verbs
            #expect(verbs.filter { $0 == "RSET" }.count == 1)
            #expect(verbs[4...7] == ["MAIL", "RCPT", "RSET", "MAIL"])
        }
    }

    @Test("a connection that the server closed while it idled is not used again", arguments: ["", "421 4.4.2 bye\r\n"])
    func closedWhileIdle(farewell: String) async throws {
        try await withServer { peer in
            peer.serve { step, _ in step == "DOT" ? .close("250 ok\r\n" + farewell) : nil }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                for _ in 0..<4 {
                    try await mailer.expect(.accepted, mailServer)
                    try await server.allPeersHaveGone()
                }
            }
            #expect(server.accepted.count == 4)
            #expect(server.mails.count == 4)
        }
    }

    @Test(
        "a used connection that is lost before a reply: the mail goes out on a new one",
        arguments: [
            SMTPPeer.Reaction.close(), .reset(), .close("421 4.4.2 idle for too long\r\n"),
            .close("421 4.7.0 too many mails\r\n"),
        ])
    func stale(reaction: SMTPPeer.Reaction) async throws {
        try await withServer { peer in
            peer.serve { step, count in step == "MAIL" && count == 1 ? reaction : nil }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                for _ in 0..<3 { try await mailer.expect(.accepted, mailServer) }
            }
            #expect(server.accepted.count == 3)
            #expect(server.mails.count == 3)
        }
    }

    @Test("a server that does not know RSET: the next mail goes out on a new connection")
    func noReset() async throws {
        try await withServer { peer in
            peer.serve { step, _ in
                switch step {
                case "RCPT" where peer.number == 0: .reply("550 5.1.1 no")
                case "RSET": .reply("502 5.5.1 unknown command")
                default: nil
                }
            }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                try await mailer.expect(.refused(.recipient, 550, .invalidRecipient), mailServer)
                try await mailer.expect(.accepted, mailServer)
            }
            #expect(server.accepted.count == 2)
        }
    }

    @Test("the same on a new connection is an end: nothing is tried for ever")
    func notForEver() async throws {
        try await withServer { peer in
            if peer.number == 0 { return peer.serve { step, count in step == "MAIL" && count == 1 ? .close() : nil } }
            peer.serve(["MAIL": .close("421 4.7.0 go away\r\n")])
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                try await mailer.expect(.accepted, mailServer)
                try await mailer.expect(.refused(.sender, 421, .unavailable), mailServer)
            }
            #expect(server.accepted.count == 2)
        }
    }

    @Test("a used connection that is lost after the dot: unknown, and one content arrives")
    func lostAfterDot() async throws {
        try await withServer { peer in
            peer.serve { step, count in step == "DOT" && count == 1 ? .close() : nil }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                try await mailer.expect(.accepted, mailServer, "a: 1\r\n")
                try await mailer.expect(.unknown(.connectionLost), mailServer, "a: 2\r\n")
                try await mailer.expect(.accepted, mailServer, "a: 3\r\n")
            }
            #expect(server.mails == ["a: 1\r\n", "a: 2\r\n", "a: 3\r\n"])
        }
    }

    @Test("an idle connection ends with QUIT")
    func quits() async throws {
        var configuration = MailConfiguration.unhurried
        configuration.idleLimit = .milliseconds(1)
        try await withServer {
            $0.serve()
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer(configuration) { mailer in
                try await mailer.expect(.accepted, mailServer)
                try await server.allPeersHaveGone()
                #expect(server.accepted[0].verbs.last == "QUIT")
                try await eventually("no connection is open") { await mailer.openConnections() == 0 ? true : nil }
            }
        }
    }

    @Test("many mails at once: no more connections than allowed, and each mail arrives once")
    func many() async throws {
        var configuration = MailConfiguration.unhurried
        configuration.maxConnections = 3
        try await withServer {
            $0.serve()
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer(configuration) { mailer in
                await withTaskGroup(of: Expected?.self) { group in
                    for number in 0..<40 {
                        group.addTask {
                            (try? await mailer.send(mailServer, "n: \(number)\r\n")).map(Expected.init)
                        }
                    }
                    for await end in group { #expect(end == .accepted) }
                }
                #expect(await mailer.openConnections() <= 3)
            }
            #expect(Set(server.mails) == Set((0..<40).map { "n: \($0)\r\n" }))
            #expect(server.mails.count == 40)
            #expect(server.accepted.count <= 3)
        }
    }

    @Test("another login gets a connection of its own, even if all are taken by the former one")
    func otherLogin() async throws {
        var configuration = MailConfiguration.unhurried
        configuration.maxConnections = 1
        try await withServer {
            $0.serve(extensions: ["AUTH PLAIN"])
        } _: { server in
            let old = try MailServer(url: server.url, username: .init("old"), password: .init("x"))
            let new = try MailServer(url: server.url, username: .init("new"), password: .init("y"))
            try await withMailer(configuration) { mailer in
                try await mailer.expect(.accepted, old)
                try await mailer.expect(.accepted, new)
            }
            #expect(server.accepted.count == 2)
        }
    }

    @Test("a server that replies slowly to a content does not stop the loop")
    func loopGoesOn() async throws {
        let mayReply = Gate()
        try await withServer { peer in
            peer.serve { step, _ in
                if step == "DOT", peer.number == 0 { mayReply.wait() }
                return nil
            }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                async let slow = mailer.send(mailServer, "n: slow\r\n")
                try await eventually("the content has arrived") { server.mails.count == 1 ? true : nil }
                // On another connection, while the first one waits for its reply.
                try await mailer.expect(.accepted, mailServer, "n: quick\r\n")
                mayReply.open()
                let slowEnd = Expected(try await slow)
                #expect(slowEnd == .accepted)
            }
        }
    }
}

@Suite("The lease", .timeLimit(.minutes(10)))
struct LeaseTests {
    @Test("that ended before the mail began: nothing of it leaves")
    func over() async throws {
        let sent = try await sendOne([:], lease: .seconds(-1))
        #expect(sent.end == .notSent(.leaseEnded))
        #expect(sent.mails.isEmpty)
    }

    @Test("that ends while the server is slow: not sent", arguments: ["GREETING", "MAIL", "RCPT", "DATA"])
    func endsMeanwhile(step: String) async throws {
        let sent = try await sendOne([step: .silence], lease: .milliseconds(200))
        #expect(sent.end == .notSent(.leaseEnded))
        #expect(sent.mails.isEmpty)
    }

    @Test("that ends while the process stands still, and the server has asked for the content: the dot does not leave")
    func endsBeforeTheDot() async throws {
        let (isAtData, mayReply, hasReplied) = (Gate(), Gate(), Gate())
        try await withServer { peer in
            peer.serve { step, _ in
                guard step == "DATA" else { return nil }
                isAtData.open()
                mayReply.wait()
                peer.write("354 go on\r\n")
                hasReplied.open()
                return .reply("")
            }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                let leaseEnd = Instant.now() + .seconds(2)
                async let end = mailer.send(mailServer, leaseEnd: leaseEnd)
                // On a very slow machine the lease ends first.
                try await eventually("the server is asked for DATA") {
                    if isAtData.isOpen { return true }
                    return await mailer.inFlight() == 0 ? true : nil
                }
                let (isBlocked, mayGoOn) = (Gate(), Gate())
                async let blocking: Void = mailer.block(isBlocked, until: mayGoOn)
                try await eventually("the loop stands still") { isBlocked.isOpen ? true : nil }
                mayReply.open()
                if isAtData.isOpen { try await eventually("the reply is there") { hasReplied.isOpen ? true : nil } }
                try await eventually("the lease is over") { Instant.now() > leaseEnd ? true : nil }
                mayGoOn.open()
                await blocking
                let result = Expected(try await end)
                #expect(result == .notSent(.leaseEnded))
            }
            try await server.allPeersHaveGone()
            #expect(server.mails.isEmpty)
        }
    }

    @Test("that ends after the dot does not end the mail")
    func endsAfterDot() async throws {
        let mayReply = Gate()
        try await withServer { peer in
            peer.serve { step, _ in
                if step == "DOT" { mayReply.wait() }
                return nil
            }
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer { mailer in
                let leaseEnd = Instant.now() + .seconds(2)
                async let end = mailer.send(mailServer, leaseEnd: leaseEnd)
                try await eventually("the lease is over") { Instant.now() > leaseEnd ? true : nil }
                let hasArrived = server.mails.count == 1
                mayReply.open()
                // On a very slow machine the lease ends first, and then the mail must not be sent.
                let result = Expected(try await end)
                #expect(result == (hasArrived ? .accepted : .notSent(.leaseEnded)))
            }
        }
    }

    @Test("of a mail that waits for a connection")
    func waiting() async throws {
        var configuration = MailConfiguration.unhurried
        configuration.maxConnections = 1
        try await withServer {
            $0.serve(["DOT": .silence])
        } _: { server in
            let mailServer = try MailServer(url: server.url)
            try await withMailer(configuration) { mailer in
                async let first = mailer.send(mailServer)
                try await eventually("the first has a connection") { server.mails.count == 1 ? true : nil }
                try await mailer.expect(.notSent(.leaseEnded), mailServer, lease: .milliseconds(50))
                await mailer.cancelAll()
                let firstEnd = Expected(try await first)
                #expect(firstEnd == .unknown(.canceled))
            }
            #expect(server.mails.count == 1)
        }
    }
}
