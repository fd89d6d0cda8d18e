import Glibc
import Synchronization

/// A TCP proxy on loopback that can stop forwarding while it keeps its sockets open: what a dead machine or a firewall
/// looks like. One thread; one client.
final class HalfOpenProxy: Sendable {
    let port: UInt16
    private let listener: Int32
    private let isFrozen = Atomic(false)
    private let isOver = Atomic(false)

    /// A proxy in front of 127.0.0.1:`target`.
    init?(target: UInt16) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = Self.loopback(0)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) == 0 }
        }
        guard listener >= 0, isBound, listen(listener, 1) == 0 else { return nil }
        var length = size
        withUnsafeMutablePointer(to: &address) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        port = UInt16(bigEndian: address.sin_port)
        var thread = pthread_t()
        let work = Work(proxy: self, target: target)
        pthread_create(
            &thread, nil,
            {
                Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(work).toOpaque())
        pthread_detach(thread)
    }

    /// Bytes no longer pass in either direction.
    func freeze() { isFrozen.store(true, ordering: .sequentiallyConsistent) }

    /// Ends the thread.
    func stop() { isOver.store(true, ordering: .sequentiallyConsistent) }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private final class Work: Sendable {
        let proxy: HalfOpenProxy
        let target: UInt16
        init(proxy: HalfOpenProxy, target: UInt16) {
            self.proxy = proxy
            self.target = target
        }

        func run() {
            var waiting = pollfd(fd: proxy.listener, events: Int16(POLLIN), revents: 0)
            while poll(&waiting, 1, 20) == 0 {
                if proxy.isOver.load(ordering: .sequentiallyConsistent) { return }
            }
            let client = accept(proxy.listener, nil, nil)
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = HalfOpenProxy.loopback(target)
            withUnsafePointer(to: &address) {
                _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            forward(client, server)
            close(client)
            close(server)
            close(proxy.listener)
        }

        private func forward(_ client: Int32, _ server: Int32) {
            var buffer = [UInt8](repeating: 0, count: 65536)
            while !proxy.isOver.load(ordering: .sequentiallyConsistent) {
                if proxy.isFrozen.load(ordering: .sequentiallyConsistent) {
                    usleep(5000)
                    continue
                }
                var ends = [
                    pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: server, events: Int16(POLLIN), revents: 0),
                ]
                guard poll(&ends, 2, 20) > 0 else { continue }
                if proxy.isFrozen.load(ordering: .sequentiallyConsistent) { continue }
                for (from, to) in [(0, server), (1, client)] where ends[from].revents != 0 {
                    let count = read(ends[from].fd, &buffer, buffer.count)
                    if count <= 0 { return }
                    _ = send(to, buffer, count, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }
}
