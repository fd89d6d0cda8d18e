import NIOCore

/// The way past the HTTP decoder for bytes: it sits before the decoder, and what it is given goes to the socket as is.
///
/// The decoder takes typed parts on the way out, so that a `ByteBuffer` must not pass through it; and faults need to
/// send what no encoder would.
final class RawOutlet: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends bytes; with `close`, closes the connection behind them.
    func send(_ bytes: [UInt8], close: Bool) {
        guard let context else { return }
        let buffer = NIOAny(context.channel.allocator.buffer(bytes: bytes))
        if close {
            context.writeAndFlush(buffer).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        } else {
            context.writeAndFlush(buffer, promise: nil)
        }
    }
}
