import HummingbirdCore
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

/// Hummingbird's server on a thread of its own, which shares nothing with the loop but what its channels give away.
///
/// Its few tasks (one per connection, which waits for its end) run on Swift's global executor: on the loop, as tasks of
/// ours do, they would cost the sends a hop each.
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
    public func run(until stop: ServerStop, onListening: @escaping @Sendable (Int) -> Void) async throws(ListenFailure)
    {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result = await withTaskExecutorPreference(globalConcurrentExecutor) {
            await serve(on: group, until: stop, onListening: onListening)
        }
        // Fails only where it was shut down before.
        try? await group.shutdownGracefully()
        try result.get()
    }

    private enum Event {
        case ended(Result<Void, ListenFailure>)
        case stopped
        case listenerClosed
    }

    private func serve(
        on group: MultiThreadedEventLoopGroup, until stop: ServerStop, onListening: @escaping @Sendable (Int) -> Void
    ) async -> Result<Void, ListenFailure> {
        // Hummingbird says at `info` that it listens and at `error` that it was canceled; what matters is thrown.
        var logger = Logger(label: "server")
        logger.logLevel = .critical
        let (listening, listener) = AsyncStream.makeStream(of: (any Channel).self)
        let eventLoop = group.next()
        let connections = NIOLoopBoundBox.makeBoxSendingValue(
            OpenConnections(limits: limits, on: eventLoop, log: log), eventLoop: eventLoop)
        let server = Server(
            childChannelSetup: ServedChannel(
                limits: limits, connections: connections, makeHandler: makeHandler),
            configuration: ServerConfiguration(address: .hostname(address.host, port: address.port), backlog: 1024),
            onServerRunning: { channel in
                listener.yield(channel)
                onListening(channel.localAddress?.port ?? address.port)
            },
            eventLoopGroup: group, logger: logger)
        return await withTaskGroup(of: Event.self) { tasks in
            tasks.addTask {
                do {
                    try await server.run()
                    return .ended(.success(()))
                } catch {
                    return .ended(.failure(ListenFailure(address, error, setting: setting)))
                }
            }
            tasks.addTask {
                for await _ in stop.stream {}
                return .stopped
            }
            tasks.addTask {
                // Too many open files, say, end the listening socket; Hummingbird then waits for its last client.
                for await channel in listening {
                    _ = try? await channel.closeFuture.get()
                    break
                }
                return .listenerClosed
            }
            var result = Result<Void, ListenFailure>.success(())
            var isStopping = false
            loop: while let event = await tasks.next() {
                switch event {
                case .ended(let ending):
                    result = ending
                    break loop
                case .stopped:
                    isStopping = true
                    tasks.addTask {
                        // Ends when the last client has left; the tasks' group is canceled by then or by the limit.
                        try? await server.shutdownGracefully()
                        return .ended(.success(()))
                    }
                    tasks.addTask {
                        try? await Task.sleep(for: .milliseconds(limits.stopMilliseconds))
                        return .ended(.success(()))
                    }
                case .listenerClosed:
                    if !isStopping { break loop }
                }
            }
            listener.finish()
            tasks.cancelAll()
            return result
        }
    }
}

/// What Hummingbird's server does with a new connection: no router and no task per request.
private struct ServedChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    let limits: ServerLimits
    let connections: NIOLoopBoundBox<OpenConnections>
    let makeHandler: ListeningServer.MakeHandler

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let limiter = RequestLimiter(limits: limits, place: connections.value.open(channel))
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(limiter)
            try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
            try pipeline.addHandler(makeHandler(limiter))
            return Value(channel: channel)
        }
    }

    /// Waits for the connection's end; a canceled server closes it at once.
    func handle(value: Value, logger: Logger) async {
        await withTaskCancellationHandler {
            // Only how it ended would be thrown, and the connection has dealt with that.
            _ = try? await value.channel.closeFuture.get()
        } onCancel: {
            value.channel.close(promise: nil)
        }
    }
}
