import NIOCore

/// Sends bytes past the HTTP decoder. It sits before the decoder, and its bytes go to the socket unchanged.
///
/// The decoder takes typed parts on the way out, so a `ByteBuffer` must not pass through it. Faults also need to send
/// bytes that no encoder would produce.
final class RawOutlet: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends bytes. With `close`, closes the connection after them.
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
