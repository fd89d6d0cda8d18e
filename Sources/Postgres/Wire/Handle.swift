internal import CLibpq
internal import EventLoop

/// The sole owner of a `PGconn`, and of its socket's place in the loop.
///
/// Used on the loop's thread alone; only `deinit` may come from another, and then hands the rest to the loop.
///
/// `@unchecked Sendable`: it passes from the connector to the connection, both actors of the loop.
@safe final class Handle: @unchecked Sendable {
    private var pointer: OpaquePointer?
    private let loop: EventLoop
    private var watched: Int32 = -1
    private var readiness: Readiness = []
    /// What libpq's notice receiver writes to, from within libpq's own calls on this handle.
    let notices = NoticeSink()

    /// Takes `pointer` over.
    init(owning pointer: OpaquePointer, on loop: EventLoop) {
        unsafe self.pointer = pointer
        self.loop = loop
        // Unretained: libpq calls it from within calls on this PGconn only, and it is finished before `notices` goes.
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

    /// Watches the socket as it is now; the descriptor may have changed.
    func watch(for wanted: Readiness, _ handler: any ReadinessHandler) {
        guard let pointer = unsafe pointer else { return }
        let socket = unsafe PQsocket(pointer)
        if socket != watched { unwatch() }
        guard socket >= 0, socket != watched || wanted != readiness else { return }
        loop.watch(socket, for: wanted, handler)
        watched = socket
        readiness = wanted
    }

    /// Forgets the socket: before whatever may close it.
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

    /// libpq's last words on this connection, on one line.
    var errorMessage: String { trimmed(wholeErrorMessage) }

    /// The same, with its line breaks. Bytes that are no UTF-8 (a server may speak before it knows the client's encoding)
    /// are replacement characters.
    var wholeErrorMessage: String {
        unsafe with { pointer in
            guard let text = unsafe PQerrorMessage(pointer) else { return "" }
            return unsafe String(cString: text)
        } ?? ""
    }

    /// What `deinit` leaves to the loop. `@unchecked Sendable`: it has one holder at a time, and is used on the loop.
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

/// Where libpq's notices land instead of on stderr.
final class NoticeSink {
    var received: [ServerError] = []

    /// The notices since the last call.
    func take() -> [ServerError] {
        if received.isEmpty { return [] }
        defer { received = [] }
        return received
    }
}

/// Passes the loop's call on to its target, without keeping that alive. On the loop's thread alone.
final class Watcher: ReadinessHandler {
    private let body: (Readiness) -> Void
    init(_ body: @escaping (Readiness) -> Void) { self.body = body }
    func ready(_ descriptor: Int32, _ readiness: Readiness) { body(readiness) }
}
