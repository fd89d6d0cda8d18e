import Glibc
import Synchronization

/// TCP on 127.0.0.1, without a library.
public enum Loopback {
    /// A new, unbound socket.
    public static func socket() -> Int32 {
        Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    }

    /// Connects. Returns whether it succeeded. `host` is the last byte of the caller's address, 127.0.0.x.
    public static func connect(_ descriptor: Int32, _ port: UInt16, from host: UInt8 = 1) -> Bool {
        (host == 1 || withAddress(0, host: host) { bind(descriptor, $0, $1) == 0 })
            && withAddress(port) { Glibc.connect(descriptor, $0, $1) == 0 }
    }

    /// A listening socket on `port`, or on a free one, and its port. `receiveBuffer` is the size in bytes for its
    /// connections.
    public static func listen(
        _ port: UInt16 = 0, backlog: Int32 = 64, receiveBuffer: Int32? = nil
    ) throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket()
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        guard withAddress(port, { bind(descriptor, $0, $1) == 0 }), Glibc.listen(descriptor, backlog) == 0,
            let port = localPort(descriptor)
        else {
            close(descriptor)
            throw Trouble("cannot listen on \(port): \(String(cString: strerror(errno)))")
        }
        return (descriptor, port)
    }

    /// A port on which nothing listens yet. No other test of this process gets it: each gets the next one, below the
    /// ports that Linux gives to connections and to listeners of any port (from 32,768 on). Where a test needs a port
    /// that refuses connections, use `closedPort`.
    public static func freePort() throws -> UInt16 {
        for _ in 0..<5_000 {
            let place = nextPort.withLock { next in
                next += 1
                return next
            }
            // Processes that run tests at the same time begin at different places.
            let port = UInt16(10_000 + (Int(getpid()) * 499 + place) % 9_000)
            let descriptor = socket()
            defer { close(descriptor) }
            if withAddress(port, { bind(descriptor, $0, $1) == 0 }) { return port }
        }
        throw Trouble("no free port below 19,000")
    }

    private static let nextPort = Mutex(0)

    /// A port that refuses all connections. A socket is bound to it until this process ends, so that no other test can
    /// listen there.
    public static func closedPort() throws -> UInt16 {
        let descriptor = socket()
        guard withAddress(0, { bind(descriptor, $0, $1) == 0 }), let port = localPort(descriptor) else {
            close(descriptor)
            throw Trouble("cannot bind to a port: \(String(cString: strerror(errno)))")
        }
        return port
    }

    /// The port of this end of a socket.
    public static func localPort(_ descriptor: Int32) -> UInt16? { port { getsockname(descriptor, $0, $1) } }

    /// The port of the other end of a socket.
    public static func remotePort(_ descriptor: Int32) -> UInt16? { port { getpeername(descriptor, $0, $1) } }

    /// Stops listening on `port`, for a listener anywhere in this process.
    public static func endListening(on port: UInt16) throws {
        // All suites together have more than 1,024 descriptors.
        for descriptor in Int32(3)..<65_536 where localPort(descriptor) == port {
            var isListening: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &size)
            guard isListening == 1 else { continue }
            shutdown(descriptor, Int32(SHUT_RDWR))
            return
        }
        throw Trouble("nobody listens on \(port)")
    }

    private static func port(
        _ read: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> UInt16? {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { read($0, &size) }
        }
        return code == 0 && address.sin_family == sa_family_t(AF_INET) ? UInt16(bigEndian: address.sin_port) : nil
    }

    private static func withAddress<T>(
        _ port: UInt16, host: UInt8 = 1, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T
    ) -> T {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = (0x7F00_0000 | UInt32(host)).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}

/// A listening socket on a free port, which only the test accepts on.
public final class Listener: Sendable {
    private let descriptor: Int32
    public let port: UInt16

    public init() throws { (descriptor, port) = try Loopback.listen() }

    deinit { close(descriptor) }

    /// Whether a client waits to be accepted. The kernel has completed its connection.
    public var hasClient: Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, 0) == 1
    }

    /// The next client.
    public func accept() async throws -> Socket {
        try await eventually("a client comes") { hasClient ? true : nil }
        return Socket(descriptor: Glibc.accept(descriptor, nil, nil))
    }
}
