public import EventLoop

/// A server that opens a new listening socket after its own has failed, until it is drained. On the loop; the server
/// itself has its own thread.
///
///     let server = RestartingServer(listeningServer, on: loop) { event in … }
///     async let outcome: Void = server.run()
///     guard await server.isListening() else { … }
public actor RestartingServer {
    /// An event for the owner, delivered on the loop.
    public enum Event: Sendable {
        /// It accepts connections on this address, with the port that the system chose.
        case listening(ListenAddress)
        /// It cannot listen, and tries again. Repeated at each failed try.
        case failed(ListenFailure)
        /// Its listening socket has failed, and it opens a new one.
        case ended
    }

    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let server: ListeningServer
    private let onEvent: @Sendable (Event) -> Void
    private let started: Latch
    /// Of the run under way.
    private var stop = ServerStop()
    private var hasListened = false
    private var isDraining = false

    /// The wait between two tries.
    private static let pause = Instant.Duration.seconds(1)

    /// - Parameter onEvent: called on the loop.
    public init(_ server: ListeningServer, on loop: EventLoop, onEvent: @escaping @Sendable (Event) -> Void) {
        self.server = server
        self.loop = loop
        self.onEvent = onEvent
        started = Latch(on: loop)
    }

    /// Serves until drained or canceled.
    ///
    /// - Throws: when it cannot listen at the start. Later it tries again instead.
    public func run() async throws(ListenFailure) {
        // Without this, a caller of `isListening` would wait for ever.
        defer { started.signal() }
        while !isDraining, !Task.isCancelled {
            let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
            async let heard: Void = listening(ports)
            stop = ServerStop()
            var failure: ListenFailure?
            do throws(ListenFailure) {
                try await server.run(until: stop) { continuation.yield($0) }
            } catch {
                failure = error
            }
            continuation.finish()
            await heard
            if isDraining || Task.isCancelled { break }
            if let failure, !hasListened { throw failure }
            onEvent(failure.map { .failed($0) } ?? .ended)
            try? await loop.sleep(for: Self.pause)
        }
    }

    /// Waits until it listens. False if it never will, and `run` has returned or is about to.
    public func isListening() async -> Bool {
        if !hasListened { await started.wait() }
        return hasListened
    }

    /// Accepts no more connections. `run` returns once the requests under way are answered, or after a limit.
    public func drain() {
        isDraining = true
        stop.signal()
    }

    private func listening(_ ports: AsyncStream<Int>) async {
        for await port in ports {
            hasListened = true
            onEvent(.listening(ListenAddress(host: server.address.host, port: port)))
            started.signal()
        }
    }
}
