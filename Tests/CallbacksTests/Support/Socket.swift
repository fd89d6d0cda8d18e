import Glibc

struct SocketError: Error {
    var call: String
    var code: Int32
}

/// A TCP connection to loopback that blocks nobody: it looks every few milliseconds, for two minutes at most.
final class Socket {
    private var descriptor: Int32

    /// `host` is the last byte of this end's address, 127.0.0.x.
    init(port: Int, from host: UInt8 = 1) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var own = Address(port: 0, host: host)
        guard own.withPointer({ bind(descriptor, $0, $1.pointee) == 0 }) else {
            throw SocketError(call: "bind", code: errno)
        }
        var address = Address(port: port)
        let isConnected = address.withPointer { connect(descriptor, $0, $1.pointee) == 0 }
        guard isConnected else { throw SocketError(call: "connect", code: errno) }
    }

    deinit { close(descriptor) }

    /// Closes it, both ways; with a reset where one was asked for. Nothing else may be called afterwards.
    func end() {
        close(descriptor)
        descriptor = -1
    }

    /// Sends all of it, however long the other side takes; false once the connection is over.
    func send(_ text: some StringProtocol) async throws -> Bool {
        var rest = Array(text.utf8)[...]
        return try await eventually("sending") {
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                }
                if count < 0 { return errno == EAGAIN ? nil : false }
                rest = rest.dropFirst(count)
            }
            return true
        }
    }

    func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends it with a reset.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    }

    /// Everything up to the end of the stream; throws when it ends with a reset.
    func receiveToEnd() async throws -> String {
        var all: [UInt8] = []
        return try await eventually("the end of the stream") {
            while let more = try receive() {
                if more.isEmpty { return String(decoding: all, as: UTF8.self) }
                all += more
            }
            return nil
        }
    }

    /// As much as `count` answers' heads.
    func receive(answers count: Int) async throws -> String {
        var all: [UInt8] = []
        return try await eventually("\(count) answers") {
            while let more = try receive() {
                if more.isEmpty { throw SocketError(call: "closed", code: 0) }
                all += more
                let text = String(decoding: all, as: UTF8.self)
                if text.ranges(of: "\r\n\r\n").count >= count { return text }
            }
            return nil
        }
    }

    /// What there is; nil for nothing yet, empty at the end.
    func receive() throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count < 0 {
            guard errno == EAGAIN else { throw SocketError(call: "recv", code: errno) }
            return nil
        }
        return Array(buffer.prefix(count))
    }
}

/// A listening socket of somebody else's.
final class Listener {
    private let descriptor: Int32
    let port: Int

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = Address(port: 0)
        let descriptor = descriptor
        let isBound = address.withPointer {
            bind(descriptor, $0, $1.pointee) == 0 && listen(descriptor, 16) == 0 && getsockname(descriptor, $0, $1) == 0
        }
        guard isBound else { throw SocketError(call: "listen", code: errno) }
        port = address.port
    }

    deinit { close(descriptor) }

    /// Ends the listening on `port`, whoever's socket it is in this process.
    static func shutDown(port: Int) throws {
        for descriptor in Int32(3)..<1024 {
            var address = Address(port: 0)
            let hasName = address.withPointer { getsockname(descriptor, $0, $1) == 0 }
            var isListening: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &size)
            if hasName, isListening == 1, address.port == port {
                shutdown(descriptor, Int32(SHUT_RDWR))
                return
            }
        }
        throw SocketError(call: "nobody listens on \(port)", code: 0)
    }
}

/// 127.0.0.x and a port as the kernel has them, byte by byte: beside NIO it depends on the build which C module the members
/// of `sockaddr_in` come from.
private struct Address {
    private var bytes = [UInt8](repeating: 0, count: 16)

    init(port: Int, host: UInt8 = 1) {
        withUnsafeBytes(of: UInt16(AF_INET)) { bytes.replaceSubrange(0..<2, with: $0) }
        bytes.replaceSubrange(2..<8, with: [UInt8(port >> 8), UInt8(port & 0xFF), 127, 0, 0, host])
    }

    var port: Int { Int(bytes[2]) << 8 | Int(bytes[3]) }

    mutating func withPointer<T>(_ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> T) -> T {
        var size = socklen_t(bytes.count)
        return bytes.withUnsafeMutableBytes { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &size) }
    }
}

/// Waits until `condition` gives a value, for two minutes at most.
func eventually<T>(_ what: String, _ condition: () throws -> T?) async throws -> T {
    let end = ContinuousClock.now + .seconds(120)
    while true {
        if let value = try condition() { return value }
        guard ContinuousClock.now < end else { throw SocketError(call: what, code: ETIMEDOUT) }
        try await Task.sleep(for: .milliseconds(5))
    }
}
