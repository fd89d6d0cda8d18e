import HTTPServer
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// What Hummingbird's server does with a new connection: no router and no task per request, since a request is a look at
/// its bytes and an append to a buffer.
struct CallbackChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
    }

    let shared: CallbackConnection.Shared
    let limits: ServerLimits

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let wire = Wire(limits: limits)
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(wire)
            try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
            try pipeline.addHandler(CallbackConnection(shared, wire: wire))
            return Value(channel: channel)
        }
    }

    /// Waits for the connection's end; a cancelled server closes it at once.
    func handle(value: Value, logger: Logger) async {
        await withTaskCancellationHandler {
            // Only how it ended would be thrown, and the connection has dealt with that.
            _ = try? await value.channel.closeFuture.get()
        } onCancel: {
            value.channel.close(promise: nil)
        }
    }
}
