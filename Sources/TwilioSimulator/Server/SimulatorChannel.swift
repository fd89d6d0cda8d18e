import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// What Hummingbird's server does with a new connection: no router and no task per request, because faults need the
/// socket itself, and one event loop with plain calls answers several times as many requests as async handlers do.
struct SimulatorChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    /// The simulator and the callback poster live on the server's only event loop and are touched on it alone.
    let simulator: NIOLoopBound<Simulator>
    let callbacks: NIOLoopBound<CallbackPoster>

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let outlet = RawOutlet()
            let poster = callbacks.value
            let connection = Connection(simulator: simulator.value, outlet: outlet) { poster.schedule($0) }
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(outlet)
            try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
            try pipeline.addHandler(connection)
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
