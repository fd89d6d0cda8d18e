internal import CCurl
internal import EventLoop
internal import Glibc

/// The sockets of a client. Opens and closes them for libcurl, and tracks the state of each (`SocketTable`).
///
/// Owned by one `Multi` and touched on its loop's thread alone. libcurl holds unretained pointers to it until the multi
/// handle is cleaned up, which its owner outlives.
@safe final class Sockets {
    private let loop: EventLoop
    private let userTimeout: Instant.Duration
    private var table = SocketTable()
    /// The `errno` of the last socket that could not be opened; 0 once one could be opened again.
    private(set) var openError: Int32 = 0

    init(on loop: EventLoop, userTimeout: Instant.Duration) {
        self.loop = loop
        self.userTimeout = userTimeout
    }

    /// The sockets behind a pointer that libcurl holds.
    static func from(_ pointer: UnsafeMutableRawPointer?) -> Sockets {
        unsafe Unmanaged<Sockets>.fromOpaque(pointer!).takeUnretainedValue()
    }

    /// The pointer by which libcurl's callbacks find this object.
    var pointer: UnsafeMutableRawPointer { unsafe Unmanaged.passUnretained(self).toOpaque() }

    /// How many connections are open.
    var open: Int { table.open }

    func state(_ descriptor: Int32) -> SocketTable.State { table.state(descriptor) }

    /// Watches a socket as libcurl asks, with `handler`.
    func watch(_ descriptor: Int32, _ wish: Int32, _ handler: any ReadinessHandler) {
        if wish == CURL_POLL_REMOVE {
            switch table.state(descriptor) {
            case .foreign: loop.unwatch(descriptor)
            case .active, .idle:
                table.use(descriptor, false)
                cork(descriptor)
            }
            return
        }
        // Nothing is left to write.
        if wish == CURL_POLL_IN, table.isCorked(descriptor) { push(descriptor) }
        var readiness: Readiness = []
        if wish & CURL_POLL_IN != 0 { readiness.insert(.read) }
        if wish & CURL_POLL_OUT != 0 { readiness.insert(.write) }
        table.use(descriptor, true)
        loop.watch(descriptor, for: readiness, handler)
    }

    /// From its second request on, a connection sends head and body together. libcurl writes them one after the other,
    /// because it asks for the body last, and each would be a segment of its own. The first request is not corked,
    /// because the handshake would wait.
    private func cork(_ descriptor: Int32) {
        guard !table.isCorked(descriptor) else { return }
        var isOn: Int32 = 1
        guard
            unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CORK, &isOn, socklen_t(MemoryLayout<Int32>.size)) == 0
        else { return }
        table.cork(descriptor)
    }

    /// Sends the bytes that a corked connection holds at once, instead of after the kernel's 200 ms (tcp(7)).
    private func push(_ descriptor: Int32) {
        var isOn: Int32 = 1
        unsafe _ = setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Opens a socket, as `CurlSocket` does.
    func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
        let descriptor = unsafe CurlSocket.open(address, userTimeout: userTimeout)
        openError = descriptor < 0 ? errno : 0
        if descriptor >= 0 { table.opened(descriptor) }
        return descriptor
    }

    /// Closes a socket that libcurl no longer needs.
    func close(_ descriptor: curl_socket_t) -> Int32 {
        table.closed(descriptor)
        loop.unwatch(descriptor)
        return Glibc.close(descriptor)
    }
}
