public import Logging
public import NIOCore
import NIOHTTP1
import NIOPosix

/// Why nobody can be listened to.
public struct ListenFailure: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// Trying again may help: the address is taken, or this machine does not have it yet.
        case unavailable
        /// This user may not: a port below 1024.
        case refused
    }

    /// Whether trying again may help.
    public let kind: Kind
    public let description: String

    /// `setting` is what names the address.
    init(_ address: ListenAddress, _ error: any Error, setting: String) {
        let code = (error as? IOError)?.errnoCode
        kind = code == EACCES || code == EPERM ? .refused : .unavailable
        description =
            switch code {
            case EADDRINUSE: "\(address) is in use: stop what listens there, or set another \(setting)"
            case EADDRNOTAVAIL:
                "\(address) is no address of this machine: set \(setting) to one of its own, or to 127.0.0.1"
            case EACCES, EPERM:
                "\(address) may not be listened on by this user: set \(setting) to a port from 1024 on"
            default: "\(address) can't be listened on (\(error)): check \(setting)"
            }
    }
}

/// What one run of a server is told from outside: to stop.
public struct ServerStop: Sendable {
    fileprivate let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    public init() { (stream, continuation) = AsyncStream.makeStream() }

    /// From any thread.
    public func signal() { continuation.finish() }
}

/// A server on a thread of its own, which shares nothing with the loop but what its channels give away.
public struct ListeningServer: Sendable {
    /// What reads a connection's requests, behind the HTTP decoder. Called on the server's event loop.
    public typealias MakeHandler = @Sendable (RequestLimiter) -> any ChannelInboundHandler

    let address: ListenAddress
    private let limits: ServerLimits
    private let setting: String
    private let log: Logger
    private let makeHandler: MakeHandler

    /// `setting` is what names the address.
    public init(
        _ address: ListenAddress, limits: ServerLimits, setting: String, log: Logger,
        makeHandler: @escaping MakeHandler
    ) {
        self.address = address
        self.limits = limits
        self.setting = setting
        self.log = log
        self.makeHandler = makeHandler
    }

    /// Serves until told to stop, or until the listening socket dies; then lets the requests under way end.
    ///
    /// - Parameter onListening: called once with the port, when connections are taken.
    @concurrent
    public func run(until stop: ServerStop, onListening: @Sendable (Int) -> Void) async throws(ListenFailure) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result = await serve(on: group.next(), until: stop, onListening: onListening)
        // Closes the connections that are left. It fails only where it was shut down before.
        try? await group.shutdownGracefully()
        try result.get()
    }

    private func serve(
        on eventLoop: any EventLoop, until stop: ServerStop, onListening: @Sendable (Int) -> Void
    ) async -> Result<Void, ListenFailure> {
        let connections = NIOLoopBoundBox.makeBoxSendingValue(
            OpenConnections(limits: limits, on: eventLoop, log: log), eventLoop: eventLoop)
        let listener: any Channel
        do {
            listener = try await bootstrap(on: eventLoop, connections).bind(host: address.host, port: address.port)
                .get()
        } catch {
            return .failure(ListenFailure(address, error, setting: setting))
        }
        onListening(listener.localAddress?.port ?? address.port)
        let isStopping = await withTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                // Ends at the signal, and when this task is canceled.
                for await _ in stop.stream {}
                let isStopping = !Task.isCancelled
                listener.close(promise: nil)
                return isStopping
            }
            // By itself the socket ends only where accepting fails for good: NIO tries again after a second when there are
            // too many open files, for instance.
            _ = try? await listener.closeFuture.get()
            tasks.cancelAll()
            return await tasks.next() ?? false
        }
        if isStopping {
            await withTaskCancellationHandler {
                _ = try? await eventLoop.flatSubmit { connections.value.quiesce() }.get()
            } onCancel: {
                eventLoop.execute { connections.value.closeAll() }
            }
        }
        return .success(())
    }

    private func bootstrap(
        on eventLoop: any EventLoop, _ connections: NIOLoopBoundBox<OpenConnections>
    ) -> ServerBootstrap {
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [limits, makeHandler] channel in
                channel.eventLoop.makeCompletedFuture {
                    let limiter = RequestLimiter(limits: limits, place: connections.value.open(channel))
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(limiter)
                    try pipeline.addHandler(
                        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
                    try pipeline.addHandler(makeHandler(limiter))
                }
            }
    }
}
