import EventLoop
import Glibc
import HTTP
import Synchronization
import TestSupport
import Testing

@Suite("How a POST ends", .timeLimit(.minutes(10)))
struct OutcomeTests {
    /// The outcome of one POST to a server that reads it and then runs `serve`.
    private func outcome(
        _ configuration: HTTPConfiguration = .init(), _ serve: @escaping @Sendable (Peer) -> Void
    ) async throws -> Ended {
        try await withServer { peer in
            guard peer.readRequest() != nil else { return }
            serve(peer)
        } _: { server in
            try await withPoster(configuration) { try await $0.post(server.url) }
        }
    }

    @Test("the request is as it should be: one line, its headers, its body")
    func request() async throws {
        try await withServer { peer in
            _ = peer.readRequest()
            peer.answer()
        } _: { server in
            try await withPoster { poster in _ = try await poster.post(server.url, "To=%2B966&Body=hi") }
            let lines = server.accepted[0].text.split(separator: "\r\n", omittingEmptySubsequences: false)
            #expect(lines.first == "POST /2010-04-01/Accounts/AC0/Messages.json HTTP/1.1")
            #expect(
                Set(lines.dropFirst().dropLast(2)) == [
                    "Host: 127.0.0.1:\(server.port)", "User-Agent: otpd", "Accept: application/json",
                    "Authorization: Basic QUM6dG9rZW4=", "Content-Length: 17",
                    "Content-Type: application/x-www-form-urlencoded",
                ])
            #expect(lines.last == "To=%2B966&Body=hi")
        }
    }

    @Test("from its second request on, head and body of a connection come together")
    func oneSegment() async throws {
        let segments = Mutex<[Int]>([])
        try await withServer { peer in
            while peer.readRequest() != nil {
                segments.withLock { $0.append(peer.segments) }
                peer.answer()
            }
        } _: { server in
            try await withPoster { poster in
                try await poster.expect(.response(201, "{}"), server.url, "Body=first")
                try await poster.expect(.response(201, "{}"), server.url, "Body=second")
                try await poster.expect(.response(201, "{}"), server.url, "Body=third")
            }
        }
        // The first request takes two segments with libcurl 7.88, and one with libcurl 8.14.
        let counts = segments.withLock { $0 }
        try #require(counts.count == 3)
        #expect(counts[1] - counts[0] == 1)
        #expect(counts[2] - counts[1] == 1)
    }

    @Test("an answer brings status, body and the two headers")
    func answered() async throws {
        let ended = try await outcome {
            $0.answer(
                "429 Too Many Requests", headers: ["retry-after: 7", "Twilio-Concurrent-Requests:  12 "],
                "{\"code\":20429}")
        }
        #expect(ended == .response(429, "{\"code\":20429}", retryAfter: 7, concurrent: 12))
    }

    @Test("an HTML 503 of some proxy is an answer")
    func html() async throws {
        let ended = try await outcome {
            $0.write("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
        }
        #expect(ended == .response(503, "<html>"))
    }

    @Test("a chunked answer, one after a 100 Continue, one in single bytes, and one that ends with the connection")
    func framings() async throws {
        let chunked = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
        #expect(try await outcome { $0.write(chunked) } == .response(201, "{}"))
        let interim = "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\n"
        #expect(
            try await outcome {
                $0.write(interim)
                $0.answer()
            } == .response(201, "{}"))
        #expect(
            try await outcome { peer in
                for character in chunked { peer.write(String(character)) }
            } == .response(201, "{}"))
        #expect(try await outcome { $0.write("HTTP/1.1 201 Created\r\n\r\n{}") } == .response(201, "{}"))
    }

    @Test("an answer that breaks off is unknown, and what came of it is kept as evidence")
    func truncated() async throws {
        try await withServer { peer in
            _ = peer.readRequest()
            peer.write("HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{\"sid\": \"SM1\"")
        } _: { server in
            try await withPoster { poster in
                try await poster.expect(.unknown(.truncated), server.url)
                #expect(await poster.evidence == ["{\"sid\": \"SM1\""])
            }
        }
        #expect(
            try await outcome {
                $0.write("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")
            } == .unknown(.truncated))
    }

    @Test(
        "what is not HTTP is unknown",
        arguments: [
            "SSH-2.0-OpenSSH_9.2\r\n", "\0\u{1}\u{2}\u{3}", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 999 No\r\n\r\n",
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 201 Created\r\nContent-Length: -5\r\n\r\n{}",
        ])
    func garbled(text: String) async throws {
        let ended = try await outcome { $0.write(text) }
        guard case .unknown = ended else { throw Unexpected(ended) }
    }

    @Test("a version of HTTP that does not exist is never an acceptance")
    func unknownVersion() async throws {
        let ended = try await outcome { $0.write("HTTP/3.7 201 Created\r\n\r\n") }
        // libcurl 8.14 reports an empty 200, which is no 201 of Twilio and therefore unknown, too. libcurl 7.88 refuses it.
        #expect(ended == .response(200, "") || ended == .unknown(.garbled))
    }

    @Test("an answer of 64 KiB is taken, one byte more is unknown; so is a head without end")
    func size() async throws {
        let full = String(repeating: "x", count: 65_536)
        let taken = try await outcome { $0.answer("200 OK", full) }
        #expect(taken == .response(200, full))
        #expect(try await outcome { $0.answer("200 OK", full + "x") } == .unknown(.answerTooLarge))
        let line = "X-Pad: " + String(repeating: "y", count: 990) + "\r\n"
        #expect(
            try await outcome {
                $0.write("HTTP/1.1 200 OK\r\n" + String(repeating: line, count: 100))
            } == .unknown(.answerTooLarge))
    }

    @Test("no answer in time is unknown")
    func slow() async throws {
        #expect(try await outcome(hurried(.seconds(1))) { _ = $0.read() } == .unknown(.timedOut))
        #expect(
            try await outcome(hurried(.seconds(1))) {
                $0.write("HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{")
                _ = $0.read()
            } == .unknown(.timedOut))
    }

    @Test("a port on which nobody listens: not sent, connection refused")
    func refused() async throws {
        let url = try "http://127.0.0.1:\(Loopback.closedPort())/"
        let ended = try await withPoster { try await $0.post(url) }
        #expect(ended == .notSent(.connectFailed(errno: ECONNREFUSED)))
    }

    @Test("a name that does not resolve: not sent")
    func unresolvable() async throws {
        let ended = try await withPoster { try await $0.post("https://no-such-host.invalid/") }
        #expect(ended == .notSent(.nameLookupFailed))
    }

    @Test("a server that closes before reading, or stops in the middle of a large body, has not got it: not sent")
    func closedEarly() async throws {
        let large = String(repeating: "b", count: 4 << 20)
        try await withServer(receiveBuffer: 4096) { peer in
            peer.waitForBytes()
            peer.reset()
        } _: { server in
            try await withPoster { poster in
                try await poster.expect(.notSent(.connectionLost), server.url, large)
            }
        }
    }

    @Test("giving up: unknown where the body had been fed, not sent where it had not")
    func canceled() async throws {
        let hasArrived = AsyncStream<Void>.makeStream()
        try await withServer { peer in
            _ = peer.readRequest()
            hasArrived.continuation.yield()
            _ = peer.read()
        } _: { server in
            try await withPoster { poster in
                async let ended = poster.post(server.url)
                for await _ in hasArrived.stream { break }
                await poster.cancelAll()
                let end = try await ended
                #expect(end == .unknown(.canceled))
                let client = poster.client
                try await poster.expect(.notSent(.canceled), server.url, meanwhile: { client.cancelAll() })
                #expect(await poster.inFlight() == 0)
            }
        }
    }
}
