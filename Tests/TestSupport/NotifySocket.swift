import Glibc
import Synchronization

/// systemd's end of NOTIFY_SOCKET: a datagram socket with a name of its own.
public final class NotifySocket: Sendable {
    /// The value for NOTIFY_SOCKET: a path in /tmp, deleted with this object, or `@` and an abstract name.
    public let name: String
    private let descriptor: Int32
    private let received = Mutex<[String]>([])
    private static let serial = Atomic(0)

    public init(isAbstract: Bool = false) throws {
        let unique = "otpd-notify-\(getpid())-\(Self.serial.add(1, ordering: .relaxed).newValue)"
        name = isAbstract ? "@\(unique)" : "/tmp/\(unique)"
        descriptor = socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // An abstract name begins with a NUL, and ends at the end of the address.
        withUnsafeMutableBytes(of: &address.sun_path) {
            $0.copyBytes(from: isAbstract ? [0] + Array(name.utf8.dropFirst()) : Array(name.utf8))
        }
        let size = isAbstract ? MemoryLayout<sa_family_t>.size + name.utf8.count : MemoryLayout<sockaddr_un>.size
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(size)) == 0 }
        }
        guard isBound else { throw Trouble("cannot bind \(name)") }
    }

    deinit {
        close(descriptor)
        if name.first == "/" { unlink(name) }
    }

    /// All messages so far, in order.
    public var messages: [String] {
        received.withLock { received in
            while let message = next() { received.append(message) }
            return received
        }
    }

    /// The next datagram; nil when none waits.
    public func next() -> String? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
}
