import Glibc
import Synchronization
import TestSupport

/// A server of raw sockets. Each connection is handled by a closure on its own thread, which controls every byte that
/// the peer gets.
final class RawServer: @unchecked Sendable {
    let port: Int
    private let listener: Int32
    private let peers = Mutex<[Peer]>([])
    private let threads = Mutex<[pthread_t]>([])
    private let handle: @Sendable (Peer) -> Void

    /// `receiveBuffer` is the size of the connections' receive buffers, for tests that depend on it.
    init(receiveBuffer: Int32? = nil, _ handle: @escaping @Sendable (Peer) -> Void) {
        self.handle = handle
        // The test cannot go on without a listening server.
        let listening = try! Loopback.listen(backlog: 1024, receiveBuffer: receiveBuffer)
        (listener, port) = (listening.descriptor, Int(listening.port))
        threads.withLock { $0.append(Threads.start { [self] in accepting() }) }
    }

    var url: String { "http://127.0.0.1:\(port)/2010-04-01/Accounts/AC0/Messages.json" }

    /// Connections accepted so far.
    var accepted: [Peer] { peers.withLock { $0 } }

    /// Waits until every connection that was accepted has ended.
    func allPeersHaveGone() async throws {
        try await eventually("every connection has ended") { accepted.allSatisfy(\.isClosed) ? true : nil }
    }

    /// Ends all connections and threads.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        // The acceptor ends first, so that the list of the others is complete.
        let acceptor = threads.withLock { $0.removeFirst() }
        pthread_join(acceptor, nil)
        for peer in accepted { peer.wake() }
        for thread in threads.withLock({ $0 }) { pthread_join(thread, nil) }
        for peer in accepted { peer.close() }
        Glibc.close(listener)
    }

    private func accepting() {
        while true {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            let peer = peers.withLock { peers in
                let peer = Peer(descriptor, number: peers.count)
                peers.append(peer)
                return peer
            }
            let thread = Threads.start { [self] in
                handle(peer)
                peer.close()
            }
            threads.withLock { $0.append(thread) }
        }
    }

    /// Descriptors of this process that are connected to `port`.
    static func descriptors(connectedTo port: Int) -> Int {
        (0..<4096).filter { Loopback.remotePort($0).map { Int($0) } == port }.count
    }
}

/// The server's view of one connection.
final class Peer: @unchecked Sendable {
    /// How many connections came before it.
    let number: Int
    private let descriptor: Int32
    private let isOpen = Mutex(true)
    /// Everything received, in order.
    let received = Mutex<[UInt8]>([])
    private var pending: [UInt8] = []

    init(_ descriptor: Int32, number: Int) {
        self.descriptor = descriptor
        self.number = number
    }

    /// Waits for a complete request, with or without a Content-Length. Returns its body; nil if the peer has gone.
    func readRequest() -> String? {
        while true {
            if let request = HTTPMessage(pending) {
                pending.removeFirst(request.byteCount)
                return request.text
            }
            guard let more = read(), !more.isEmpty else { return nil }
            pending += more
        }
    }

    /// The next bytes; empty at the end, nil after a reset.
    func read() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { return nil }
        received.withLock { $0 += buffer[..<count] }
        return Array(buffer[..<count])
    }

    /// Waits until there are bytes to read, without reading them.
    func waitForBytes() {
        var byte: UInt8 = 0
        recv(descriptor, &byte, 1, Int32(MSG_PEEK))
    }

    /// How many segments with data have arrived (`tcp_info.tcpi_data_segs_in`, which glibc's header lacks).
    var segments: Int {
        var info = [UInt32](repeating: 0, count: 58)
        var size = socklen_t(info.count * 4)
        getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &size)
        return Int(info[38])
    }

    func write(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    func answer(_ status: String = "201 Created", headers: [String] = [], _ body: String = "{}") {
        let lines = ["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)"] + headers
        write(lines.joined(separator: "\r\n") + "\r\n\r\n" + body)
    }

    /// Closes with a reset instead of an end.
    func reset() {
        var discard = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &discard, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func wake() { isOpen.withLock { if $0 { shutdown(descriptor, Int32(SHUT_RDWR)) } } }

    func close() {
        isOpen.withLock { isOpen in
            if isOpen { Glibc.close(descriptor) }
            isOpen = false
        }
    }

    var isClosed: Bool { isOpen.withLock { !$0 } }

    var text: String { received.withLock { String(decoding: $0, as: UTF8.self) } }
}
