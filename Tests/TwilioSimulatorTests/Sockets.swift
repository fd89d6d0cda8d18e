import Foundation
import Glibc

@testable import TwilioSimulator

struct SocketError: Error {
    var call: String
    var code: Int32
}

/// A blocking TCP connection to loopback with a timeout, closed with its owner.
final class Wire {
    private let descriptor: Int32
    /// Read behind the last message.
    private var pending: [UInt8] = []

    init(descriptor: Int32) {
        self.descriptor = descriptor
        limitReceive(descriptor)
    }

    convenience init(port: Int) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(port: port)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw SocketError(call: "connect", code: errno) }
        self.init(descriptor: descriptor)
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// The next bytes, empty at the end of the stream. A timeout or a reset throws.
    func receive(timeoutMilliseconds: Int? = nil) throws -> [UInt8] {
        if let timeoutMilliseconds {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, Int32(timeoutMilliseconds)) > 0 else {
                throw SocketError(call: "poll", code: ETIMEDOUT)
            }
        }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw SocketError(call: "recv", code: errno) }
        return Array(buffer.prefix(count))
    }

    func receiveToEnd() throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let more = try receive()
            if more.isEmpty { return all }
            all += more
        }
    }

    /// Head and body of one message that says its Content-Length.
    func receiveMessage() throws -> (head: String, body: [UInt8]) {
        var all = pending
        while true {
            if let end = all.firstRange(of: Array("\r\n\r\n".utf8)) {
                let head = String(utf8: all[..<end.lowerBound])
                let length =
                    head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
                    .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) } ?? 0
                if all.count >= end.upperBound + length {
                    pending = Array(all[(end.upperBound + length)...])
                    return (head, Array(all[end.upperBound..<end.upperBound + length]))
                }
            }
            let more = try receive()
            guard !more.isEmpty else { throw SocketError(call: "closed after \(all.count) bytes", code: 0) }
            all += more
        }
    }
}

/// A listening socket on a free port of loopback.
final class Listener {
    private let descriptor: Int32
    let port: Int

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard bound else { throw SocketError(call: "listen", code: errno) }
        limitReceive(descriptor)
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }

    func accept() throws -> Wire {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw SocketError(call: "accept", code: errno) }
        return Wire(descriptor: accepted)
    }
}

/// Nothing waits for ever: receiving and accepting give up after 10 s.
private func limitReceive(_ descriptor: Int32) {
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
}

private func loopback(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
}

/// A simulator of its own for one test, ended with it.
func withServer(_ settings: Settings = settings(), _ body: (Int) async throws -> Void) async throws {
    let server = try SimulatorServer(settings)
    defer { server.close() }
    try await body(server.port)
}

func rawCreate(to: String, callback: String? = nil) -> [UInt8] {
    let settings = Settings()
    var fields = [("To", to), ("From", sender), ("Body", "hello")]
    if let callback { fields.append(("StatusCallback", callback)) }
    let body = encoded(fields)
    let basic = Base64.encode(Array("\(settings.accountSID):\(settings.authToken)".utf8))
    let lines = [
        "POST /2010-04-01/Accounts/\(settings.accountSID)/Messages.json HTTP/1.1", "Host: 127.0.0.1",
        "Authorization: Basic \(basic)", "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: \(body.count)", "", "",
    ]
    return Array(lines.joined(separator: "\r\n").utf8) + body
}

func rawGet(_ target: String) -> [UInt8] {
    Array("GET \(target) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".utf8)
}
