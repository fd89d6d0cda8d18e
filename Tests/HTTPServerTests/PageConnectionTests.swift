import NIOCore
import NIOEmbedded
import NIOHTTP1
import Synchronization
import Testing

@testable import HTTPServer

/// The limits of one client of a page server, and the headers of every answer, on a clock that the test moves.
struct PageConnectionTests {
    /// One connection without a socket, and its requests.
    private final class Client {
        let channel = EmbeddedChannel()
        let limits = PageServer.limits
        private let asked = Asked()

        /// The server's side, which answers at once, or when the test says so.
        private final class Asked: Sendable {
            let requests = Mutex<[PageRequest]>([])
            let replies = Mutex<[@Sendable (PageAnswer) -> Void]>([])
        }

        init(answersAtOnce: Bool = true) throws {
            let limiter = RequestLimiter(limits: limits)
            let asked = asked
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(limiter)
            try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
            try pipeline.addHandler(
                PageConnection(limiter: limiter) { request, reply in
                    asked.requests.withLock { $0.append(request) }
                    if answersAtOnce {
                        reply(PageAnswer(200, "a page"))
                    } else {
                        asked.replies.withLock { $0.append(reply) }
                    }
                })
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }

        deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

        var requests: [PageRequest] { asked.requests.withLock(\.self) }

        func reply(_ answer: PageAnswer) {
            for reply in asked.replies.withLock({ replies in
                defer { replies = [] }
                return replies
            }) { reply(answer) }
            channel.embeddedEventLoop.run()
        }

        func send(_ text: String) throws {
            guard channel.isActive else { return }
            try channel.writeInbound(ByteBuffer(string: text))
        }

        func get(_ target: String, method: String = "GET", headers: [String] = []) throws {
            try send(
                (["\(method) \(target) HTTP/1.1", "Host: localhost"] + headers + ["", ""]).joined(separator: "\r\n"))
        }

        func wait(_ milliseconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .milliseconds(milliseconds)) }

        func answers() throws -> String {
            var all = ""
            while var buffer = try channel.readOutbound(as: ByteBuffer.self) {
                all += buffer.readString(length: buffer.readableBytes) ?? ""
            }
            return all
        }

        var isOpen: Bool {
            channel.embeddedEventLoop.run()
            return channel.isActive
        }
    }

    @Test func aRequestAndWhatItCarries() throws {
        let client = try Client()
        try client.get("/api/history.json?span=day", headers: ["Authorization: Bearer x"])
        #expect(
            client.requests == [
                PageRequest(
                    path: "/api/history.json", query: "span=day", host: "localhost", authorization: "Bearer x",
                    client: "127.0.0.1")
            ])
        #expect(try client.answers().hasSuffix("\r\n\r\na page\n"))
        #expect(client.isOpen)
    }

    @Test func twoAuthorizationsAreNone() throws {
        let client = try Client()
        try client.get("/", headers: ["Authorization: Bearer a", "Authorization: Bearer b"])
        #expect(client.requests.first?.authorization == "")
    }

    @Test func headHasNoBody() throws {
        let client = try Client()
        try client.get("/", method: "HEAD")
        let answer = try client.answers()
        #expect(answer.contains("Content-Length: 7\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n"))
    }

    /// For every answer, refusals included.
    @Test func everyAnswerIsStrict() throws {
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", "nonsense\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n|" + String(repeating: "x", count: 20_000),
            "GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 20_000),
        ]
        var statuses: [Substring] = []
        for request in requests {
            let client = try Client()
            // The body comes after its head, as on a network. One read may exceed the limit.
            for part in request.split(separator: "|") { try client.send(String(part)) }
            let answer = try client.answers()
            statuses.append(answer.dropFirst(9).prefix(3))
            #expect(
                answer.contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'self';"),
                "\(request.prefix(40))")
            #expect(answer.contains("frame-ancestors 'none'"))
            #expect(answer.contains("\r\nX-Content-Type-Options: nosniff\r\n"))
            #expect(answer.contains("\r\nCache-Control: no-store\r\n"))
            #expect(!answer.lowercased().contains("set-cookie"))
        }
        #expect(statuses == ["200", "405", "400", "413", "431"])
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
    func onlyReading(method: String) throws {
        let client = try Client()
        try client.get(method == "CONNECT" ? "a:1" : "/", method: method)
        let answer = try client.answers()
        #expect(answer.hasPrefix("HTTP/1.1 405 "))
        #expect(answer.contains("\r\nAllow: GET, HEAD\r\n"))
        #expect(client.requests == [])
        client.wait(client.limits.lingerMilliseconds)
        #expect(!client.isOpen)
    }

    @Test func aSlowRequest() throws {
        let client = try Client()
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n")
        client.wait(client.limits.requestMilliseconds - 1)
        #expect(try client.answers() == "")
        try client.send("X: y\r\n")
        client.wait(1)
        #expect(try client.answers().hasPrefix("HTTP/1.1 408 "))
        client.wait(client.limits.lingerMilliseconds)
        #expect(!client.isOpen)
    }

    @Test func anAnswerThatComesLater() throws {
        let client = try Client(answersAtOnce: false)
        try client.get("/")
        #expect(try client.answers() == "")
        client.reply(PageAnswer(200, "late"))
        #expect(try client.answers().hasSuffix("late\n"))
        #expect(client.isOpen)
        try client.get("/again")
        client.reply(PageAnswer(200, "later"))
        #expect(try client.answers().hasSuffix("later\n"))
    }

    /// Bytes that arrive before the answer are ignored, and the connection ends after the answer.
    @Test func pipelined() throws {
        let client = try Client(answersAtOnce: false)
        try client.get("/first")
        try client.get("/second")
        client.reply(PageAnswer(200, "late"))
        let answer = try client.answers()
        #expect(answer.contains("\r\nConnection: close\r\n"))
        #expect(answer.ranges(of: "HTTP/1.1 ").count == 1)
        #expect(client.requests.map(\.path) == ["/first"])
    }

    @Test func anAnswerForSomebodyWhoHasGone() throws {
        let client = try Client(answersAtOnce: false)
        try client.get("/")
        try client.channel.close().wait()
        client.reply(PageAnswer(200, "late"))
        #expect(try client.answers() == "")
    }

    /// A half-closed connection, as from `nc` and some probes, still gets its answer.
    @Test func anAnswerForSomebodyWhoSendsNoMore() throws {
        let client = try Client(answersAtOnce: false)
        try client.get("/")
        client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        client.reply(PageAnswer(200, "late"))
        #expect(try client.answers().contains("late"))
    }

    @Test func aServerThatStops() throws {
        let idle = try Client()
        try idle.get("/")
        idle.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(!idle.isOpen)
        let busy = try Client(answersAtOnce: false)
        try busy.get("/")
        busy.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(busy.isOpen)
        busy.reply(PageAnswer(200, "last"))
        #expect(try busy.answers().contains("\r\nConnection: close\r\n"))
    }
}
