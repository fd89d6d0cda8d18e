import NIOCore
import NIOHTTP1
import NIOPosix

/// The simulator on a socket: one event-loop thread that owns everything.
///
/// There is no task per connection or request. Faults need the socket itself, and plain calls on one event loop answer
/// several times as many requests as async handlers do.
struct SimulatorServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    /// The port that it listens on.
    let port: Int

    /// Objects that are used on the event loop alone.
    private struct Shared {
        let simulator: Simulator
        let callbacks: CallbackPoster
    }

    /// Starts to listen.
    init(_ settings: Settings) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            listener = try Self.listen(settings, on: group.next()).wait()
        } catch {
            try? group.syncShutdownGracefully()
            throw error
        }
        port = listener.localAddress?.port ?? settings.port
    }

    /// Blocks until the listening socket is closed, by `stopListening` or by a failure.
    func waitUntilClosed() { try? listener.closeFuture.wait() }

    /// Closes the listening socket. From any thread.
    func stopListening() { listener.close(promise: nil) }

    /// Closes everything at once.
    func close() { try? group.syncShutdownGracefully() }

    private static func listen(_ settings: Settings, on loop: any EventLoop) throws -> EventLoopFuture<any Channel> {
        let shared = try loop.submit {
            let simulator = try Simulator(settings)
            return NIOLoopBound(
                Shared(simulator: simulator, callbacks: CallbackPoster(loop: loop, simulator: simulator)),
                eventLoop: loop)
        }.wait()
        return ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (simulator, callbacks) = (shared.value.simulator, shared.value.callbacks)
                    let outlet = RawOutlet()
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(outlet)
                    try pipeline.addHandler(
                        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
                    try pipeline.addHandler(
                        Connection(simulator: simulator, outlet: outlet) { callbacks.schedule($0) })
                }
            }
            .bind(host: settings.host, port: settings.port)
    }
}
