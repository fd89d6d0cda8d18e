import Glibc
import HTTPServer
import Testing

@testable import Callbacks

/// The receiver's server over real sockets. What a connection may take is in `ConnectionTests`, with a clock of its own.
struct ServerTests {
    /// A server for one test. `stop` is given to it, so that it can be stopped under way; it has ended afterwards.
    private func withServer(
        _ limits: Limits = Limits(), _ body: @Sendable @escaping (Int, Inbox, ServerStop) async throws -> Void
    ) async throws {
        let inbox = Inbox(capacity: limits.buffered)
        let server = ListeningServer(
            host: "127.0.0.1", port: 0,
            channel: CallbackChannel(shared: Fixture.shared(inbox, limits), limits: limits.server),
            limits: limits.server,
            setting: "OTPD_CALLBACK_LISTEN")
        let stop = ServerStop()
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { continuation.finish() }
                try await server.run(until: stop) { continuation.yield($0) }
            }
            for await port in ports {
                do {
                    try await body(port, inbox, stop)
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
        try await withServer { port, inbox, _ in
            let socket = try Socket(port: port)
            for _ in 0..<3 {
                #expect(try await socket.send(Fixture.request()))
                #expect(try await socket.receive(answers: 1) == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
            #expect(inbox.counters == Counters(received: 3))
        }
    }

    @Test func pipelined() async throws {
        try await withServer { port, inbox, _ in
            let socket = try Socket(port: port)
            #expect(try await socket.send(String(repeating: Fixture.request(), count: 1000)))
            let answers = try await socket.receive(answers: 1000)
            #expect(answers.ranges(of: "200 OK").count == 1000)
            #expect(inbox.counters == Counters(received: 1000))
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
        try await withServer { port, inbox, _ in
            let socket = try Socket(port: port)
            #expect(try await socket.send(Fixture.request(signature: "no") + Fixture.request()))
            #expect(try await socket.receiveToEnd().hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            #expect(inbox.counters == Counters(refused: 1))
        }
    }

    @Test func aSlowClient() async throws {
        var limits = Limits()
        limits.requestMilliseconds = 300
        try await withServer(limits) { port, inbox, _ in
            let silent = try Socket(port: port)
            let slow = try Socket(port: port)
            #expect(try await slow.send(Fixture.request().dropLast()))
            #expect(try await slow.receiveToEnd().hasPrefix("HTTP/1.1 408 "))
            #expect(try await silent.receiveToEnd() == "")
            #expect(inbox.counters == Counters(malformed: 1))
        }
    }

    @Test func requestsThatEndInTheMiddle() async throws {
        try await withServer { port, inbox, _ in
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
            #expect(inbox.counters.received == 1)
        }
    }

    /// Those above the limit wait their turn.
    @Test func soManyConnectionsAtATime() async throws {
        var limits = Limits()
        limits.connections = 2
        try await withServer(limits) { port, _, _ in
            var held: [Socket] = []
            for _ in 0..<2 {
                let socket = try Socket(port: port)
                #expect(try await socket.send(Fixture.request()))
                _ = try await socket.receive(answers: 1)
                held.append(socket)
            }
            let third = try Socket(port: port)
            #expect(try await third.send(Fixture.request()))
            // The others are served meanwhile.
            for _ in 0..<20 {
                #expect(try await held[0].send(Fixture.request()))
                _ = try await held[0].receive(answers: 1)
                #expect(try third.receive() == nil)
            }
            held.removeLast()
            _ = try await third.receive(answers: 1)
        }
    }

    @Test func stoppingTakesNoMoreAndAnswersWhatHasBegun() async throws {
        try await withServer { port, inbox, stop in
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
            #expect(inbox.counters == Counters(received: 2))
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

    /// The listening socket dies: the run ends, whoever is still connected, so that another can begin.
    @Test func aServerThatHearsNothingEnds() async throws {
        try await withServer { port, _, _ in
            let idle = try Socket(port: port)
            #expect(try await idle.send(Fixture.request()))
            _ = try await idle.receive(answers: 1)
            try Listener.shutDown(port: port)
            #expect(try await idle.receiveToEnd() == "")
        }
    }

    @Test(arguments: [("127.0.0.1", "is in use"), ("192.0.2.1", "is no address of this machine")])
    func cannotListen(host: String, why: String) async throws {
        let taken = try Listener()
        let inbox = Inbox(capacity: 1)
        let server = ListeningServer(
            host: host, port: taken.port,
            channel: CallbackChannel(shared: Fixture.shared(inbox), limits: ServerLimits()), limits: ServerLimits(),
            setting: "OTPD_CALLBACK_LISTEN")
        do throws(ListenFailure) {
            try await server.run(until: ServerStop()) { _ in Issue.record("it listens") }
            Issue.record("it has ended without an error")
        } catch {
            #expect(error.kind == .unavailable)
            #expect(error.description.hasPrefix("\(host):\(taken.port) \(why): "))
        }
    }
}
