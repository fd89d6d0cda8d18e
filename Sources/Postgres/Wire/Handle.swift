internal import CLibpq
internal import EventLoop

/// The sole owner of a `PGconn`, and of its socket's place in the loop.
///
/// Used on the loop's thread alone. Only `deinit` may run on another thread, and then hands the rest to the loop.
///
/// `@unchecked Sendable`: it passes from the connector to the connection, which are both actors of the loop.
@safe final class Handle: @unchecked Sendable {
    private var pointer: OpaquePointer?
    private let loop: EventLoop
    private var watched: Int32 = -1
    private var readiness: Readiness = []
    /// The target of libpq's notice receiver, which runs inside libpq's calls on this handle.
    let notices = NoticeSink()

    /// Takes ownership of `pointer`.
    init(owning pointer: OpaquePointer, on loop: EventLoop) {
        unsafe self.pointer = pointer
        self.loop = loop
        // Unretained: libpq calls it only inside calls on this PGconn, which is finished before `notices` is freed.
        unsafe PQsetNoticeReceiver(
            pointer,
            { raw, result in
                guard let raw = unsafe raw, let result = unsafe result else { return }
                unsafe Unmanaged<NoticeSink>.fromOpaque(raw).takeUnretainedValue().received.append(ServerError(result))
            }, Unmanaged.passUnretained(notices).toOpaque())
    }

    deinit {
        guard let pointer = unsafe pointer else { return }
        let rest = unsafe DeferredClose(pointer: pointer, loop: loop, watched: watched)
        if loop.isOnLoop {
            rest.run()
        } else {
            Task(executorPreference: loop) { rest.run() }
        }
    }

    /// Lends the connection; nil after `finish()`.
    func with<T>(_ body: (OpaquePointer) -> T) -> T? {
        guard let pointer = unsafe pointer else { return nil }
        return unsafe body(pointer)
    }

    /// Watches the current socket. Its descriptor may have changed.
    func watch(for wanted: Readiness, _ handler: any ReadinessHandler) {
        guard let pointer = unsafe pointer else { return }
        let socket = unsafe PQsocket(pointer)
        if socket != watched { unwatch() }
        guard socket >= 0, socket != watched || wanted != readiness else { return }
        loop.watch(socket, for: wanted, handler)
        watched = socket
        readiness = wanted
    }

    /// Stops watching the socket. Call it before anything that may close the socket.
    func unwatch() {
        if watched >= 0 { loop.unwatch(watched) }
        watched = -1
        readiness = []
    }

    /// Closes the connection.
    func finish() {
        unwatch()
        guard let pointer = unsafe pointer else { return }
        unsafe self.pointer = nil
        unsafe PQfinish(pointer)
    }

    /// libpq's last message for this connection, on one line.
    var errorMessage: String { trimmed(wholeErrorMessage) }

    /// The same, with its line breaks. Invalid UTF-8 becomes replacement characters, because a server may send text
    /// before it knows the client's encoding.
    var wholeErrorMessage: String {
        unsafe with { pointer in
            guard let text = unsafe PQerrorMessage(pointer) else { return "" }
            return unsafe String(cString: text)
        } ?? ""
    }

    /// The work that `deinit` leaves to the loop. `@unchecked Sendable`: it has one holder at a time, and runs on the
    /// loop.
    @safe private struct DeferredClose: @unchecked Sendable {
        let pointer: OpaquePointer
        let loop: EventLoop
        let watched: Int32

        func run() {
            if watched >= 0 { loop.unwatch(watched) }
            unsafe PQfinish(pointer)
        }
    }
}

/// Collects libpq's notices, which would otherwise go to stderr.
final class NoticeSink {
    var received: [ServerError] = []

    /// The notices since the last call.
    func take() -> [ServerError] {
        if received.isEmpty { return [] }
        defer { received = [] }
        return received
    }
}

/// Forwards the loop's call to its target without retaining the target. On the loop's thread alone.
final class Watcher: ReadinessHandler {
    private let body: (Readiness) -> Void
    init(_ body: @escaping (Readiness) -> Void) { self.body = body }
    func ready(_ descriptor: Int32, _ readiness: Readiness) { body(readiness) }
}
