import Foundation
import TestSupport
import Testing

@testable import TwilioSimulator

/// The whole server over raw sockets, for things that only the wire shows.
@Suite struct ServerTests {
    private static func created(_ port: Int) async throws -> Int? {
        let wire = try Socket(port: port)
        try await wire.send(rawGet("/_sim/stats"))
        return try await json(wire.receiveMessage().body)["created"] as? Int
    }

    @Test func keepsTheConnectionAndAnswersPipelinedRequestsInOrder() async throws {
        try await withServer { port in
            let wire = try Socket(port: port)
            try await wire.send(rawCreate(to: "+966500000001") + rawCreate(to: "+966500000002") + rawGet("/healthz"))
            let first = try await wire.receiveMessage()
            #expect(first.head.hasPrefix("HTTP/1.1 201 Created\r\n"))
            #expect(try json(first.body)["to"] as? String == "+966500000001")
            #expect(try await json(wire.receiveMessage().body)["to"] as? String == "+966500000002")
            #expect(try await wire.receiveMessage().body == Array("ok\n".utf8))
        }
    }

    @Test func aSlowAnswerHoldsBackThoseBehindIt() async throws {
        try await withServer(settings { $0.faults = Array("{\"next\":[{\"fault\":\"slow\",\"ms\":50}]}".utf8) }) {
            port in
            let wire = try Socket(port: port)
            try await wire.send(rawCreate(to: "+966500000001"))
            try await wire.send(rawGet("/healthz"))
            #expect(try await wire.receiveMessage().head.hasPrefix("HTTP/1.1 201"))
            #expect(try await wire.receiveMessage().body == Array("ok\n".utf8))
        }
    }

    @Test(arguments: [("+966590200001", 0), ("+966590200002", 1)])
    func closesWithoutAByte(to: String, created: Int) async throws {
        try await withServer { port in
            let wire = try Socket(port: port)
            try await wire.send(rawCreate(to: to))
            #expect(try await wire.receiveBytesToEnd() == [])
            #expect(try await Self.created(port) == created)
        }
    }

    @Test func closesInTheMiddleOfTheAnswer() async throws {
        try await withServer { port in
            let wire = try Socket(port: port)
            try await wire.send(rawCreate(to: "+966590200003"))
            let text = try await wire.receiveToEnd()
            let parts = text.components(separatedBy: "\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 201 Created\r\n"))
            let length =
                parts[0].components(separatedBy: "\r\n").first { $0.hasPrefix("Content-Length: ") }
                .flatMap { Int($0.dropFirst(16)) } ?? 0
            #expect(length > 100)
            #expect(parts[1].utf8.count == length / 2)
            #expect(try await Self.created(port) == 1)
        }
    }

    @Test func answersGarbage() async throws {
        try await withServer { port in
            let wire = try Socket(port: port)
            try await wire.send(rawCreate(to: "+966590200004"))
            let bytes = try await wire.receiveBytesToEnd()
            #expect(!bytes.isEmpty)
            #expect(!bytes.starts(with: "HTTP/".utf8))
            #expect(try await Self.created(port) == 1)
        }
    }

    @Test func neverAnswersAndNoticesWhenTheClientLeaves() async throws {
        try await withServer { port in
            do {
                let wire = try Socket(port: port)
                try await wire.send(rawCreate(to: "+966590200006"))
                try await eventually("the message is created") { try await Self.created(port) == 1 ? true : nil }
                #expect(try wire.receive() == nil)
            }
            // Bounded: each round is a request answered before or after the close was seen.
            var concurrent: Int? = 1
            for _ in 0..<1000 where concurrent != 0 {
                let wire = try Socket(port: port)
                try await wire.send(rawGet("/_sim/stats"))
                concurrent = try await json(wire.receiveMessage().body)["concurrent"] as? Int
            }
            #expect(concurrent == 0)
        }
    }

    @Test func refusesWhatIsNotHTTPAndWhatIsTooLarge() async throws {
        try await withServer { port in
            let wire = try Socket(port: port)
            try await wire.send(Array("\u{1}\u{2} nonsense\r\n\r\n".utf8))
            #expect(try await wire.receiveToEnd().hasPrefix("HTTP/1.1 400 "))
            let large = try Socket(port: port)
            try await large.send(Array("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n".utf8))
            try await large.send([UInt8](repeating: 0x61, count: (1 << 20) + 1))
            #expect(try await large.receiveToEnd().hasPrefix("HTTP/1.1 413 "))
            let again = try Socket(port: port)
            try await again.send(rawGet("/healthz"))
            #expect(try await again.receiveMessage().head.hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test func postsSignedCallbacksInOrder() async throws {
        let delays = try #require(StatusDelays(sending: 1, sent: 30, final: 60))
        try await withServer(settings { $0.delays = delays }) { port in
            let listener = try Listener()
            let url = "http://127.0.0.1:\(listener.port)/callbacks?ref=a%2Bb"
            let wire = try Socket(port: port)
            try await wire.send(rawCreate(to: "+966590130005", callback: url))
            let sid = try await json(wire.receiveMessage().body)["sid"] as? String
            var statuses: [String] = []
            for _ in 0..<3 {
                // Each has its own connection. A callback that is due before the last one is answered opens another.
                let receiver = try await listener.accept()
                let callback = try await receiver.receiveMessage()
                #expect(callback.head.hasPrefix("POST /callbacks?ref=a%2Bb HTTP/1.1\r\n"))
                let form = Form(callback.body)
                let parameters = form.fields.map { (name: String(utf8: $0.name), value: String(utf8: $0.value)) }
                let signature = Signature.sign(url: url, parameters: parameters, authToken: Settings().authToken)
                #expect(callback.head.contains("X-Twilio-Signature: \(signature)"))
                #expect(form.text("MessageSid") == sid)
                statuses.append(form.text("MessageStatus") ?? "")
                try await receiver.send(Array("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".utf8))
            }
            #expect(statuses == ["sending", "sent", "undelivered"])
        }
    }
}
