public import NIOCore

/// A connection's bytes: counts what comes in against the clock and the limits, lets answers past the HTTP decoder, and
/// closes so that the client can still read the last one. Sits before the decoder; everything happens on its event loop.
public final class RequestLimiter: ChannelDuplexHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = ByteBuffer
    public typealias OutboundIn = ByteBuffer
    public typealias OutboundOut = ByteBuffer

    /// What the bytes that come in belong to; the handler behind the decoder says so.
    public enum Phase: Equatable, Sendable {
        /// No request has begun.
        case idle
        /// A request line and headers.
        case head
        /// A body.
        case body
        /// The request is complete, and its answer is awaited.
        case answer
        /// Nothing that is wanted: the last answer is on its way.
        case leaving
    }

    /// Why a request is not waited for.
    public enum Excess: Sendable { case headTooLarge, tooLarge, tooSlow }

    private let limits: ServerLimits
    /// Nil in tests of a lone connection.
    private let place: ConnectionPlace?
    private var context: ChannelHandlerContext?
    /// What goes on now.
    public private(set) var phase = Phase.idle
    /// Of this phase.
    private var bytes = 0
    private var deadline = NIODeadline.distantFuture
    private var timer: Scheduled<Void>?
    private var timerDue = NIODeadline.distantFuture
    private var isReadHeld = false
    /// Called when a request is too long or too slow.
    public var onExcess: ((Excess) -> Void)?

    /// A connection that may take what `limits` say, with its place among the others.
    public init(limits: ServerLimits, place: ConnectionPlace? = nil) {
        self.limits = limits
        self.place = place
    }

    public func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // A new connection has as long for its first request as any request has.
        allow(limits.requestMilliseconds)
    }

    public func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        self.context = nil
        onExcess = nil
    }

    // MARK: Coming in

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = unwrapInboundIn(data).readableBytes
        switch phase {
        case .idle: enter(.head)
        case .head, .body, .answer: break
        case .leaving: return
        }
        bytes += count
        context.fireChannelRead(data)
        // The decoder has run: what is counted now belongs to a request that is not whole.
        switch phase {
        case .head: if bytes > limits.headBytes { onExcess?(.headTooLarge) }
        case .body, .answer: if bytes > limits.wireBytes { onExcess?(.tooLarge) }
        case .idle, .leaving: break
        }
        arm()
    }

    /// A phase has begun: its bytes count from here.
    public func enter(_ phase: Phase) {
        guard self.phase != .leaving else { return }
        switch phase {
        case .idle:
            deadline = now + .milliseconds(limits.idleMilliseconds)
            place?.set(.idle)
        // From its first byte to its last a request has one deadline.
        case .head, .body:
            if self.phase == .idle {
                deadline = now + .milliseconds(limits.requestMilliseconds)
                place?.set(.requesting)
            }
        case .answer: place?.set(.answering)
        case .leaving: break
        }
        self.phase = phase
        bytes = 0
    }

    /// The client has proven who it is: its requests are not cut off for a stranger's.
    public func trust() { place?.trust() }

    // MARK: Going out

    /// Writes an answer; it goes with everything else that this read brings.
    public func write(_ buffer: ByteBuffer) { context?.write(NIOAny(buffer), promise: nil) }

    /// Writes the last answer and closes behind it.
    ///
    /// A socket closed with unread bytes resets the connection, and the answer may be lost on the way: so only the
    /// sending half is closed, and what still comes in is thrown away for a moment.
    public func leave(with buffer: ByteBuffer) {
        guard phase != .leaving, let context else { return }
        phase = .leaving
        let (channel, place) = (context.channel, place)
        context.writeAndFlush(NIOAny(buffer)).assumeIsolated().whenComplete { _ in
            place?.set(.done)
            channel.close(mode: .output, promise: nil)
        }
        allow(limits.lingerMilliseconds)
    }

    /// Closes once everything written has left.
    public func leave() {
        guard phase != .leaving, let context else { return }
        phase = .leaving
        let channel = context.channel
        context.writeAndFlush(NIOAny(ByteBuffer())).assumeIsolated().whenComplete { _ in channel.close(promise: nil) }
        allow(limits.lingerMilliseconds)
    }

    public func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        context.fireChannelReadComplete()
    }

    /// Reads no further while the client does not take its answers.
    public func read(context: ChannelHandlerContext) {
        guard phase == .leaving || context.channel.isWritable else {
            isReadHeld = true
            allow(limits.requestMilliseconds)
            return
        }
        context.read()
    }

    public func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, isReadHeld {
            isReadHeld = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }

    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if phase == .leaving, let event = event as? ChannelEvent, event == .inputClosed {
            return context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: The clock

    private var now: NIODeadline { context?.eventLoop.now ?? .now() }

    private func allow(_ milliseconds: Int64) {
        deadline = now + .milliseconds(milliseconds)
        arm()
    }

    /// One timer, moved only when it would come too late: most requests are whole before anybody looks at it.
    private func arm() {
        guard timer == nil || deadline < timerDue, let context else { return }
        timer?.cancel()
        timerDue = deadline
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in self?.look() }
    }

    private func look() {
        timer = nil
        guard now >= deadline else { return arm() }
        guard let context else { return }
        switch phase {
        case .idle, .leaving: context.close(promise: nil)
        case .head, .body, .answer:
            // Who does not read its answers gets none more.
            if isReadHeld { context.close(promise: nil) } else { onExcess?(.tooSlow) }
        }
    }
}
