import EventLoop
import HTTPServer
import Logging
import Postgres
import TestSupport
import Testing

@testable import Callbacks

/// The whole receiver, with a database that is never there.
struct ReceiverTests {
    @Test func aDeadListenerIsReplaced() async throws {
        let loop = try EventLoop.start(name: "receiver-test")
        let port = Int(try Loopback.freePort())
        let configuration = ReceiverConfiguration(
            database: ConnectionSettings("host=127.0.0.1 port=1", applicationName: "test"),
            listen: ListenAddress(host: "127.0.0.1", port: port), publicURL: Fixture.url, authToken: Fixture.token)
        let receiver = CallbackReceiver(
            configuration, on: loop, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        async let outcome: Void = Task(executorPreference: loop) { try await receiver.run() }.value
        #expect(await receiver.isListening())
        do {
            for isLast in [false, true] {
                let socket = try await eventually("it listens") { try? Socket(port: port) }
                #expect(try await socket.send(Fixture.request(signature: "no")))
                #expect(try await socket.receiveToEnd().hasPrefix("HTTP/1.1 403 "))
                if !isLast { try Loopback.endListening(on: UInt16(port)) }
            }
        } catch {
            Issue.record(error)
        }
        await receiver.drain()
        try await outcome
        loop.stop()
    }
}
