import NIOCore
import NIOHTTP1
import NIOPosix

/// The simulator on a socket: one event-loop thread that owns everything.
///
/// There is no task per connection or request. Faults need the socket itself, and plain calls on one event loop answer
/// several times as many requests as async handlers do.
struct SimulatorServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let listener: any NIOCore.Channel
    /// The port that it listens on.
    let port: Int
    /// The ports of the sink of e-mails, for those that are wanted.
    let mailPort: Int?
    let mailTLSPort: Int?

    /// Objects that are used on the event loop alone.
    private struct Shared {
        let simulator: Simulator
        let callbacks: CallbackPoster
        let tls: TLSContext?
    }

    /// Starts to listen.
    init(_ settings: Settings) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let shared = try Self.share(settings, on: group.next())
            listener = try Self.listen(settings, shared, on: group.next()).wait()
            let loop = group.next()
            mailPort = try settings.mail?.port.map {
                try Self.listenForMail(settings, $0, shared, isSecure: false, loop)
            }
            mailTLSPort = try settings.mail?.tlsPort.map {
                try Self.listenForMail(settings, $0, shared, isSecure: true, loop)
            }
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

    private static func share(_ settings: Settings, on loop: any EventLoop) throws -> NIOLoopBound<Shared> {
        try loop.submit {
            let simulator = try Simulator(settings)
            let tls: TLSContext? =
                switch settings.mail?.certificate {
                case nil: nil
                case .files(let certificate, let key): try TLSContext(certificate: certificate, key: key)
                case .selfSigned(let path): try TLSContext(selfSignedIn: path)
                }
            let callbacks = CallbackPoster(loop: loop, simulator: simulator)
            return NIOLoopBound(Shared(simulator: simulator, callbacks: callbacks, tls: tls), eventLoop: loop)
        }.wait()
    }

    /// The port on which the sink of e-mails listens.
    private static func listenForMail(
        _ settings: Settings, _ port: Int, _ shared: NIOLoopBound<Shared>, isSecure: Bool, _ loop: any EventLoop
    ) throws -> Int {
        let rules = settings.mail?.rules ?? SMTPRules()
        let channel = try ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (simulator, tls) = (shared.value.simulator, shared.value.tls)
                    let pipeline = channel.pipeline.syncOperations
                    if isSecure {
                        guard let tls else { throw TLSFailure(message: "no certificate") }
                        try pipeline.addHandler(TLSHandler(try TLSState(tls)))
                    }
                    try pipeline.addHandler(
                        MailConnection(simulator: simulator, tls: tls, rules: rules, isSecure: isSecure))
                }
            }
            .bind(host: settings.host, port: port).wait()
        return channel.localAddress?.port ?? port
    }

    private static func listen(
        _ settings: Settings, _ shared: NIOLoopBound<Shared>, on loop: any EventLoop
    ) throws -> EventLoopFuture<any NIOCore.Channel> {
        ServerBootstrap(group: loop)
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
