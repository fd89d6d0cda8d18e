import NIOCore

/// TLS in a channel: it decrypts on the way in, and encrypts on the way out.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let state: TLSState
    private var hasClosed = false

    init(_ state: TLSState) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let output = state.receive(Array(unwrapInboundIn(data).readableBytesView))
        send(output.encrypted, context)
        if !output.plain.isEmpty {
            context.fireChannelRead(wrapInboundOut(context.channel.allocator.buffer(bytes: output.plain)))
        }
        if output.hasEnded, !hasClosed {
            hasClosed = true
            context.close(promise: nil)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let encrypted = state.send(Array(unwrapOutboundIn(data).readableBytesView))
        context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: encrypted)), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if !hasClosed {
            hasClosed = true
            send(state.close(), context)
        }
        context.close(mode: mode, promise: promise)
    }

    private func send(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        guard !bytes.isEmpty else { return }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }
}
