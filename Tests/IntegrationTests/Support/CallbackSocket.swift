import Glibc
import Synchronization
import TestSupport

/// A backend's own receiver of callbacks: accepts requests on loopback, answers 200, and keeps their first bytes.
final class CallbackSocket: Sendable {
    let port: UInt16
    private let descriptor: Int32
    private let received = Mutex<[String]>([])

    init() throws {
        (descriptor, port) = try Loopback.listen()
        Threads.detach { self.serve() }
    }

    /// The first request so far.
    var first: String? { received.withLock(\.first) }

    /// Runs until the test process ends.
    private func serve() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let connection = accept(descriptor, nil, nil)
            guard connection >= 0 else { return }
            let count = recv(connection, &buffer, buffer.count, 0)
            received.withLock { $0.append(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)) }
            let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".utf8)
            send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
            close(connection)
        }
    }
}
