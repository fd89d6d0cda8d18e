import HTTPServer
import OTP
import Testing

@testable import Callbacks

/// What one client gets, and what it may take. The clock is the test's.
struct ConnectionTests {
    /// A request, and its answer.
    static let refused: [(String, Int)] = [
        // A wrong, a missing, a doubled signature; a body that is not the signed one.
        (Fixture.request(signature: "RSOYDt4T1cUTdK1PDd93/VVr8B8="), 403), (Fixture.request(signature: ""), 403),
        (Fixture.request(headers: ["X-Twilio-Signature: \(Fixture.signature())"]), 403),
        (Fixture.request(target: "/status?reference=42.4"), 403), (Fixture.request(target: "/status"), 403),
        (Fixture.request(type: "application/json"), 403),
        // Another place.
        (Fixture.request(target: "/"), 404), (Fixture.request(target: "/status/"), 404),
        (Fixture.request(target: "/statusx" + Fixture.query), 404), (Fixture.request(target: "/%73tatus"), 404),
        (Fixture.request(method: "GET"), 405), (Fixture.request(method: "PUT"), 405),
        (Fixture.request(method: "GET", target: "/"), 404),
        (Fixture.request(type: nil), 415), (Fixture.request(type: "text/plain"), 415),
        (Fixture.request(type: "multipart/form-data"), 415),
        (Fixture.request(headers: ["Content-Type: application/json"]), 415),
        // Signed, and no status.
        (Fixture.request("Not a word"), 400), (Fixture.request(sid: "SM1"), 400),
        ("POST /status HTTP/1.1\r\nContent-Length: 1000000\r\nHost: a\r\n\r\n", 415),
        (Fixture.request(headers: ["Content-Length: 70000"]), 400),
        ("nonsense\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", 400),
    ]

    @Test func aCallbackIsTakenAndTheConnectionStays() throws {
        let client = try Client()
        try client.send(Fixture.request("delivered"))
        #expect(try client.answers() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let receipt = try #require(client.buffer.take(10).first)
        #expect(receipt.sid.description == Fixture.sid)
        #expect(receipt.status.rawValue == "delivered")
        #expect(receipt.attempt?.description == "42.3")
        try client.send(Fixture.request("sent"))
        #expect(try client.statuses() == [200])
        #expect(client.isOpen)
        #expect(client.buffer.counters == Counters(received: 2))
    }

    @Test(arguments: refused)
    func refusals(request: String, status: Int) throws {
        let client = try Client()
        try client.send(request)
        #expect(try client.statuses() == [status])
        // Whatever follows is not read.
        try client.send(Fixture.request())
        #expect(try client.statuses() == [])
        #expect(client.buffer.take(10).isEmpty)
        #expect(client.buffer.counters == (status == 403 ? Counters(refused: 1) : Counters(malformed: 1)))
        client.wait(Limits().lingerMilliseconds)
        #expect(!client.isOpen)
    }

    @Test func anAnswerNamesNoNumberAndNoSignature() throws {
        for request in [Fixture.request(signature: "aaaaaaaaaaaaaaaa"), Fixture.request("Not a word")] {
            let client = try Client()
            try client.send(request)
            let answer = try client.answers()
            #expect(answer.contains("Connection: close\r\n"))
            for secret in ["966501234567", "aaaaaaaa", Fixture.sid, Fixture.signature()] {
                #expect(!answer.contains(secret))
            }
        }
    }

    @Test func targetsOfProxies() throws {
        for target in ["http://10.0.0.1:80/status?reference=42.3", "https://other/status?reference=42.3"] {
            let client = try Client()
            try client.send(Fixture.request(target: target))
            #expect(try client.statuses() == [200])
        }
    }

    @Test func chunkedAndExpecting() throws {
        let client = try Client()
        try client.send(Fixture.request(isChunked: true))
        #expect(try client.statuses() == [200])
        let request = Fixture.request(headers: ["Expect: 100-continue"])
        let end = try #require(request.firstRange(of: "\r\n\r\n")).upperBound
        try client.send(request[..<end])
        #expect(try client.statuses() == [100])
        try client.send(request[end...])
        #expect(try client.statuses() == [200])
        #expect(client.buffer.counters == Counters(received: 2))
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        let client = try Client()
        let requests = (0..<50).map { Fixture.request($0 % 2 == 0 ? "queued" : "sent") }.joined()
        try client.send(requests + Fixture.request(signature: "no") + Fixture.request())
        #expect(try client.statuses() == Array(repeating: 200, count: 50) + [403])
        #expect(client.buffer.take(100).map(\.status.rawValue) == (0..<50).map { $0 % 2 == 0 ? "queued" : "sent" })
    }

    @Test(arguments: [1, 7, 100, 333])
    func cutAnywhere(size: Int) throws {
        let client = try Client()
        var rest = (Fixture.request("queued") + Fixture.request("sent", isChunked: true))[...]
        while !rest.isEmpty {
            try client.send(rest.prefix(size))
            rest = rest.dropFirst(size)
        }
        #expect(try client.statuses() == [200, 200])
    }

    @Test func theClientClosesBehindIt() throws {
        let client = try Client()
        try client.send(Fixture.request(headers: ["Connection: close"]))
        #expect(try client.answers().contains("Connection: close"))
        client.wait(Limits().lingerMilliseconds)
        #expect(!client.isOpen)
        let old = try Client()
        try old.send(Fixture.request().replacing("HTTP/1.1", with: "HTTP/1.0"))
        #expect(try old.statuses() == [200])
        old.wait(Limits().lingerMilliseconds)
        #expect(!old.isOpen)
    }

    // MARK: Sizes

    @Test func aBodyThatSaysItIsTooLargeIsNotRead() throws {
        let client = try Client()
        let head = Fixture.request().components(upTo: "Content-Length:")
        try client.send(head + "Content-Length: 65537\r\n\r\n")
        #expect(try client.statuses() == [413])
    }

    @Test func theLargestBody() throws {
        let fields = Fixture.body() + [("x", String(repeating: "y", count: 0))]
        let padding = Limits().bodyBytes - Fixture.encoded(fields).utf8.count
        for (excess, status) in [(0, 200), (1, 413)] {
            let fields = Fixture.body() + [("x", String(repeating: "y", count: padding + excess))]
            let body = Fixture.encoded(fields)
            let client = try Client()
            try client.send(Fixture.chunkedHead(Fixture.signature(fields)))
            try client.send(String(body.utf8.count, radix: 16) + "\r\n")
            var rest = body[...]
            while !rest.isEmpty {
                try client.send(rest.prefix(10_000))
                rest = rest.dropFirst(10_000)
            }
            try client.send("\r\n0\r\n\r\n")
            #expect(try client.statuses() == [status])
        }
    }

    /// Chunks of one byte, each with a long extension: small by the body, and without end.
    @Test func aBodyThatIsMostlyWrapping() throws {
        let client = try Client()
        try client.send(Fixture.chunkedHead(Fixture.signature()))
        var sent = 0
        while client.isOpen, sent < 1_000_000 {
            let chunk = "1;\(String(repeating: "e", count: 1000))\r\na\r\n"
            try client.send(chunk)
            sent += chunk.utf8.count
            if try client.statuses() == [413] { break }
        }
        #expect(sent <= Limits().wireBytes + 2000)
    }

    @Test func headersWithoutEnd() throws {
        for part in ["X-A: \(String(repeating: "b", count: 1000))\r\n", String(repeating: "b", count: 1000)] {
            let client = try Client()
            try client.send("POST /status HTTP/1.1\r\nX: ")
            var sent = 0
            while sent < 1_000_000 {
                try client.send(part)
                sent += part.utf8.count
                if try client.statuses() == [431] { break }
            }
            #expect(sent <= Limits().headBytes + 2000)
        }
    }

    @Test func aTargetWithoutEnd() throws {
        let client = try Client()
        try client.send("POST /")
        var sent = 0
        while sent < 1_000_000 {
            try client.send(String(repeating: "b", count: 1000))
            sent += 1000
            if try client.statuses() == [431] { break }
        }
        #expect(sent <= Limits().headBytes + 2000)
    }

    // MARK: The clock

    @Test(arguments: [("POST /", "x"), ("POST /status HTTP/1.1\r\nHost:", "x"), ("\r\n", "\r\n")])
    func halfAHeadThatDrips(start: String, drop: String) throws {
        let client = try Client()
        try client.send(start)
        for _ in 0..<9 {
            client.wait(1_000)
            try client.send(drop)
        }
        #expect(client.isOpen)
        client.wait(999)
        #expect(client.isOpen)
        client.wait(1)
        #expect(try client.statuses() == [408])
        client.wait(Limits().lingerMilliseconds)
        #expect(!client.isOpen)
    }

    /// Head and body have one deadline together.
    @Test func halfABodyThatDrips() throws {
        let client = try Client()
        let request = Fixture.request()
        let end = try #require(request.firstRange(of: "\r\n\r\n")).upperBound
        try client.send(request[..<request.index(end, offsetBy: -3)])
        client.wait(5_000)
        try client.send(request[request.index(end, offsetBy: -3)..<end])
        for byte in request[end...].prefix(4) {
            client.wait(1_000)
            try client.send(String(byte))
        }
        #expect(client.isOpen)
        client.wait(1_000)
        #expect(try client.statuses() == [408])
        #expect(client.buffer.counters == Counters(malformed: 1))
    }

    @Test func aConnectionThatSaysNothing() throws {
        let client = try Client()
        client.wait(9_999)
        #expect(client.isOpen)
        client.wait(1)
        #expect(!client.isOpen)
        #expect(client.buffer.counters == Counters())
    }

    @Test func betweenTwoRequests() throws {
        let client = try Client()
        client.wait(9_000)
        try client.send(Fixture.request())
        client.wait(74_999)
        #expect(client.isOpen)
        // Each request has its whole time again, and so has each pause.
        try client.send(Fixture.request().dropLast())
        client.wait(9_999)
        try client.send(String(Fixture.request().suffix(1)))
        #expect(try client.statuses() == [200, 200])
        client.wait(74_999)
        #expect(client.isOpen)
        client.wait(1)
        #expect(!client.isOpen)
        #expect(try client.statuses() == [])
    }

    /// A client that does not take its answers: nothing more is read from it, and soon the connection ends.
    @Test func aClientThatDoesNotRead() throws {
        let client = try Client()
        try client.send(Fixture.request())
        #expect(try client.reads(whileWritable: true))
        #expect(try !client.reads(whileWritable: false))
        client.wait(9_999)
        #expect(client.isOpen)
        client.wait(1)
        #expect(!client.isOpen)
    }

    @Test func aClientThatReadsAgain() throws {
        let client = try Client()
        try client.send(Fixture.request())
        #expect(try !client.reads(whileWritable: false))
        #expect(try client.reads(whileWritable: true))
        try client.send(Fixture.request())
        client.wait(20_000)
        #expect(client.isOpen)
    }

    // MARK: Ends

    @Test func halfARequestThatEnds() throws {
        for part in ["POST /sta", String(Fixture.request().dropLast(5))] {
            let client = try Client()
            try client.send(part)
            client.endInput()
            client.wait(Limits().lingerMilliseconds)
            #expect(!client.isOpen)
            #expect(client.buffer.counters.received == 0)
        }
    }

    @Test func aRequestAndTheEnd() throws {
        let client = try Client()
        try client.send(Fixture.request())
        client.endInput()
        #expect(try client.statuses() == [200])
        #expect(!client.isOpen)
    }

    @Test func stoppingLetsTheRequestUnderWayEnd() throws {
        let idle = try Client()
        try idle.send(Fixture.request())
        idle.quiesce()
        #expect(!idle.isOpen)
        for cut in [3, 300] {
            let busy = try Client()
            let request = Fixture.request()
            try busy.send(request.dropLast(cut))
            busy.quiesce()
            #expect(busy.isOpen)
            try busy.send(request.suffix(cut))
            #expect(try busy.answers().contains("200 OK\r\nContent-Length: 0\r\nConnection: close"))
            busy.wait(Limits().lingerMilliseconds)
            #expect(!busy.isOpen)
        }
    }
}

extension String {
    fileprivate func components(upTo text: String) -> Substring {
        self[..<(firstRange(of: text)?.lowerBound ?? endIndex)]
    }
}
