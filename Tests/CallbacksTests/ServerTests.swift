import Glibc
import HTTPServer
import TestSupport
import Testing

@testable import Callbacks

/// The receiver's server over real sockets. What a connection may take is in `ConnectionTests`, with a clock of its own.
struct ServerTests {
    /// A server for one test. `stop` is given to it, so that it can be stopped under way; it has ended afterwards.
    private func withServer(
        _ limits: Limits = Limits(), _ body: @Sendable @escaping (Int, ReceiptBuffer, ServerStop) async throws -> Void
    ) async throws {
        let buffer = ReceiptBuffer(capacity: limits.buffered)
        let shared = Fixture.shared(buffer, limits)
        let server = ListeningServer(
            ListenAddress(host: "127.0.0.1", port: 0), limits: limits.server, setting: "OTPD_CALLBACK_LISTEN",
            log: Fixture.log
        ) { CallbackConnection(shared, limiter: $0) }
        let stop = ServerStop()
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { continuation.finish() }
                try await server.run(until: stop) { continuation.yield($0) }
            }
            for await port in ports {
                do {
                    try await body(port, buffer, stop)
                } catch {
                    stop.signal()
                    throw error
                }
                break
            }
            stop.signal()
            try await group.waitForAll()
        }
    }

    @Test func aCallbackArrives() async throws {
        try await withServer { port, buffer, _ in
            let socket = try Socket(port: port)
            for _ in 0..<3 {
                #expect(try await socket.send(Fixture.request()))
                #expect(try await socket.receive(answers: 1) == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
            #expect(buffer.counters == Counters(received: 3))
        }
    }

    @Test func pipelined() async throws {
        try await withServer { port, buffer, _ in
            let socket = try Socket(port: port)
            #expect(try await socket.send(String(repeating: Fixture.request(), count: 1000)))
            let answers = try await socket.receive(answers: 1000)
            #expect(answers.ranges(of: "200 OK").count == 1000)
            #expect(buffer.counters == Counters(received: 1000))
        }
    }

    /// The client reads the answer though it goes on sending what is not read.
    @Test func aHugeBodyIsAnsweredAndNotReset() async throws {
        try await withServer { port, _, _ in
            let socket = try Socket(port: port)
            let head = [
                "POST /status HTTP/1.1", "Host: a", "X-Twilio-Signature: a", "Content-Type: application/json",
                "Content-Length: 1000000000", "", "",
            ]
            #expect(try await socket.send(head.joined(separator: "\r\n")))
            #expect(try await socket.send(String(repeating: "x", count: 1 << 20)))
            #expect(try await socket.receiveToEnd().hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test func aWrongSignature() async throws {
        try await withServer { port, buffer, _ in
            let socket = try Socket(port: port)
            #expect(try await socket.send(Fixture.request(signature: "no") + Fixture.request()))
            #expect(try await socket.receiveToEnd().hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            #expect(buffer.counters == Counters(refused: 1))
        }
    }

    @Test func aSlowClient() async throws {
        var limits = Limits()
        limits.requestMilliseconds = 300
        try await withServer(limits) { port, buffer, _ in
            let silent = try Socket(port: port)
            let slow = try Socket(port: port)
            #expect(try await slow.send(Fixture.request().dropLast()))
            #expect(try await slow.receiveToEnd().hasPrefix("HTTP/1.1 408 "))
            #expect(try await silent.receiveToEnd() == "")
            #expect(buffer.counters == Counters(malformed: 1))
        }
    }

    @Test func requestsThatEndInTheMiddle() async throws {
        try await withServer { port, buffer, _ in
            for cut in stride(from: 1, to: Fixture.request().count, by: 40) {
                let half = try Socket(port: port)
                #expect(try await half.send(Fixture.request().prefix(cut)))
                half.endOutput()
                _ = try await half.receiveToEnd()
                let cutOff = try Socket(port: port)
                #expect(try await cutOff.send(Fixture.request().prefix(cut)))
                cutOff.reset()
            }
            let whole = try Socket(port: port)
            #expect(try await whole.send(Fixture.request()))
            whole.endOutput()
            #expect(try await whole.receiveToEnd() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            #expect(buffer.counters.received == 1)
        }
    }

    /// Each row: what the connections that take all places do, and whether a request from the same address gets through.
    @Test(arguments: Holder.allCases)
    func allPlacesAreTaken(by holder: Holder) async throws {
        var limits = Limits()
        limits.connections = 16
        try await withServer(limits) { port, _, _ in
            var held: [Socket] = []
            for _ in 0..<40 {
                let socket = try Socket(port: port)
                try await holder.begin(socket)
                held.append(socket)
            }
            let socket = try Socket(port: port)
            #expect(try await socket.send(Fixture.request()))
            #expect(try await socket.receive(answers: 1).hasPrefix("HTTP/1.1 200 "))
            _ = held
        }
    }

    enum Holder: CaseIterable {
        case silent, drippingHead, drippingBody, halfClosed, garbage, pipelinedGarbage, tlsHello, http2, closedAtOnce
        case resetAtOnce, idle, refused

        func begin(_ socket: Socket) async throws {
            switch self {
            case .silent: break
            case .drippingHead: _ = try await socket.send("POST /status HTTP/1.1\r\nX-Slow: ")
            case .drippingBody: _ = try await socket.send(Fixture.request().dropLast(5))
            case .halfClosed: socket.endOutput()
            case .garbage: _ = try await socket.send("nonsense\r\n\r\n")
            case .pipelinedGarbage: _ = try await socket.send(Fixture.request() + "\0\0garbage\r\n\r\n")
            case .tlsHello: _ = try await socket.send("\u{16}\u{3}\u{1}\u{0}\u{5}\u{1}\u{0}\u{0}\u{1}\u{0}")
            case .http2: _ = try await socket.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            case .closedAtOnce: socket.end()
            case .resetAtOnce:
                socket.reset()
                socket.end()
            case .idle:
                _ = try await socket.send(Fixture.request())
                _ = try await socket.receive(answers: 1)
            case .refused: _ = try await socket.send(Fixture.request(signature: "no"))
            }
        }
    }

    /// A proxy's connection that has brought a signed callback keeps its place in the middle of the next one.
    @Test func aTrustedRequestOutlastsAFlood() async throws {
        var limits = Limits()
        limits.connections = 16
        limits.waitForSlowMachines()
        try await withServer(limits) { port, buffer, _ in
            let proxy = try Socket(port: port)
            #expect(try await proxy.send(Fixture.request()))
            _ = try await proxy.receive(answers: 1)
            let request = Fixture.request(headers: ["Expect: 100-continue"])
            #expect(try await proxy.send(request.dropLast(10)))
            #expect(try await proxy.receive(answers: 1).hasPrefix("HTTP/1.1 100 "))
            var flood: [Socket] = []
            for number in 0..<200 {
                let socket = try Socket(port: port)
                if number.isMultiple(of: 2) { _ = try await socket.send("POST /status HTTP/1.1\r\n") }
                flood.append(socket)
            }
            // The flood has been taken in: the last connection is answered.
            let last = try Socket(port: port)
            #expect(try await last.send(Fixture.request()))
            _ = try await last.receive(answers: 1)
            #expect(try await proxy.send(request.suffix(10)))
            #expect(try await proxy.receive(answers: 1).hasPrefix("HTTP/1.1 200 "))
            #expect(buffer.counters.received == 3)
        }
    }

    /// One address takes all places in the middle of requests; another address's slow request is not cut off for it.
    @Test func anAddressHasAShare() async throws {
        var limits = Limits()
        limits.connections = 16
        limits.waitForSlowMachines()
        try await withServer(limits) { port, buffer, _ in
            let other = try Socket(port: port, from: 2)
            let request = Fixture.request(headers: ["Expect: 100-continue"])
            #expect(try await other.send(request.dropLast(10)))
            _ = try await other.receive(answers: 1)
            var flood: [Socket] = []
            for _ in 0..<100 {
                let socket = try Socket(port: port)
                #expect(try await socket.send(request.dropLast(10)))
                flood.append(socket)
            }
            let last = try Socket(port: port, from: 3)
            #expect(try await last.send(Fixture.request()))
            _ = try await last.receive(answers: 1)
            #expect(try await other.send(request.suffix(10)))
            #expect(try await other.receive(answers: 1).hasPrefix("HTTP/1.1 200 "))
            #expect(buffer.counters.received == 2)
        }
    }

    @Test func stoppingTakesNoMoreAndAnswersWhatHasBegun() async throws {
        try await withServer { port, buffer, stop in
            let idle = try Socket(port: port)
            #expect(try await idle.send(Fixture.request()))
            _ = try await idle.receive(answers: 1)
            let busy = try Socket(port: port)
            let request = Fixture.request(headers: ["Expect: 100-continue"])
            #expect(try await busy.send(request.dropLast(10)))
            // It has been read so far.
            #expect(try await busy.receive(answers: 1).hasPrefix("HTTP/1.1 100 "))
            stop.signal()
            #expect(try await idle.receiveToEnd() == "")
            #expect((try? Socket(port: port)) == nil)
            #expect(try await busy.send(request.suffix(10)))
            #expect(
                try await busy.receiveToEnd() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            #expect(buffer.counters == Counters(received: 2))
        }
    }

    @Test func stoppingWaitsForNobodyForLong() async throws {
        var limits = Limits()
        limits.stopMilliseconds = 100
        try await withServer(limits) { port, _, stop in
            let busy = try Socket(port: port)
            #expect(try await busy.send(Fixture.request(headers: ["Expect: 100-continue"]).dropLast(10)))
            _ = try await busy.receive(answers: 1)
            stop.signal()
            #expect(try await busy.receiveToEnd() == "")
        }
    }

    /// The listening socket fails: the run ends even with open connections, so that another can begin.
    @Test func aServerThatHearsNothingEnds() async throws {
        try await withServer { port, _, _ in
            let idle = try Socket(port: port)
            #expect(try await idle.send(Fixture.request()))
            _ = try await idle.receive(answers: 1)
            try Loopback.endListening(on: UInt16(port))
            #expect(try await idle.receiveToEnd() == "")
        }
    }

    @Test(arguments: [("127.0.0.1", "is in use"), ("192.0.2.1", "is not an address of this machine")])
    func cannotListen(host: String, why: String) async throws {
        let taken = try Listener()
        let shared = Fixture.shared(ReceiptBuffer(capacity: 1))
        let server = ListeningServer(
            ListenAddress(host: host, port: Int(taken.port)), limits: ServerLimits(), setting: "OTPD_CALLBACK_LISTEN",
            log: Fixture.log
        ) { CallbackConnection(shared, limiter: $0) }
        do throws(ListenFailure) {
            try await server.run(until: ServerStop()) { _ in Issue.record("it listens") }
            Issue.record("it has ended without an error")
        } catch {
            #expect(error.kind == .unavailable)
            #expect(error.description.hasPrefix("\(host):\(taken.port) \(why). "))
        }
    }
}

extension Limits {
    /// No connection makes room or ends because the machine was slow to serve the others.
    fileprivate mutating func waitForSlowMachines() {
        server.silentMilliseconds = 600_000
        server.stalledMilliseconds = 600_000
        server.requestMilliseconds = 600_000
    }
}
