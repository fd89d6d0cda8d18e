import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The simulator on a socket: one event-loop thread which owns everything.
enum SimulatorServer {
    /// Serves until its task is canceled, which closes everything at once. `ready` gets the port once it listens.
    static func run(_ settings: Settings, ready: @escaping @Sendable (Int) async -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result: Result<Void, any Error>
        do {
            let channel = try await makeChannel(settings, on: group.next())
            var logger = Logger(label: "twilio-simulator")
            // Hummingbird reports our own cancellation as an error; errors that matter are thrown.
            logger.logLevel = .critical
            let server = channel.server(
                configuration: ServerConfiguration(
                    address: .hostname(settings.host, port: settings.port), backlog: 4096),
                onServerRunning: { channel in
                    await ready(channel.localAddress?.port ?? settings.port)
                },
                eventLoopGroup: group, logger: logger)
            try await server.run()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await group.shutdownGracefully()
        try result.get()
    }

    private static func makeChannel(_ settings: Settings, on loop: any EventLoop) async throws -> SimulatorChannel {
        try await loop.submit {
            let simulator = try Simulator(settings)
            return SimulatorChannel(
                simulator: NIOLoopBound(simulator, eventLoop: loop),
                callbacks: NIOLoopBound(CallbackPoster(loop: loop, simulator: simulator), eventLoop: loop))
        }.get()
    }
}
