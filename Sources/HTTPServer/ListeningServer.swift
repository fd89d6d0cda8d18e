public import Logging
public import NIOCore
import NIOHTTP1
import NIOPosix

/// Why a server cannot listen.
public struct ListenFailure: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// Trying again may help: the address is in use, or this machine does not have it yet.
        case unavailable
        /// This user lacks the privilege, as for a port below 1024.
        case refused
    }

    /// Whether trying again may help.
    public let kind: Kind
    public let description: String

    /// `setting` is the setting that holds the address.
    init(_ address: ListenAddress, _ error: any Error, setting: String) {
        let code = (error as? IOError)?.errnoCode
        kind = code == EACCES || code == EPERM ? .refused : .unavailable
        description =
            switch code {
            case EADDRINUSE: "\(address) is in use. Stop the program that listens there, or set another \(setting)."
            case EADDRNOTAVAIL:
                "\(address) is not an address of this machine. Set \(setting) to one of its own, or to 127.0.0.1."
            case EACCES, EPERM:
                "this user may not listen on \(address). Set \(setting) to a port from 1024 on."
            default: "cannot listen on \(address): \(error). Check \(setting)."
            }
    }
}

/// The signal that stops one run of a server.
public struct ServerStop: Sendable {
    fileprivate let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    public init() { (stream, continuation) = AsyncStream.makeStream() }

    /// Tells the server to stop. From any thread.
    public func signal() { continuation.finish() }
}

/// A server on its own thread. It shares nothing with the loop except the data that its channels pass on.
public struct ListeningServer: Sendable {
    /// Makes the handler that reads a connection's requests, behind the HTTP decoder. Called on the server's event
    /// loop.
    public typealias MakeHandler = @Sendable (RequestLimiter) -> any ChannelInboundHandler

    let address: ListenAddress
    private let limits: ServerLimits
    private let setting: String
    private let log: Logger
    private let makeHandler: MakeHandler

    /// `setting` is the setting that holds the address.
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

    /// Serves until told to stop, or until the listening socket fails. Then lets the requests under way end.
    ///
    /// - Parameter onListening: called once with the port, when the server accepts connections.
    @concurrent
    public func run(until stop: ServerStop, onListening: @Sendable (Int) -> Void) async throws(ListenFailure) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result = await serve(on: group.next(), until: stop, onListening: onListening)
        // Closes the remaining connections. This fails only if the group was shut down already.
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
            // The socket ends by itself only if accepting fails for good. After errors such as too many open files, NIO
            // tries again after a second.
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
