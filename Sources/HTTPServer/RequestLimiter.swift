public import NIOCore

/// Limits the bytes and time of a connection's requests. Also passes answers by the HTTP decoder, and closes in a way
/// that lets the client read the last answer. Sits before the decoder; everything happens on its event loop.
public final class RequestLimiter: ChannelDuplexHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = ByteBuffer
    public typealias OutboundIn = ByteBuffer
    public typealias OutboundOut = ByteBuffer

    /// The part of a request that incoming bytes belong to. The handler behind the decoder sets it.
    public enum Phase: Equatable, Sendable {
        /// No request has begun.
        case idle
        /// A request line and headers.
        case head
        /// A body.
        case body
        /// The request is complete, and its answer is awaited.
        case answer
        /// The last answer is on its way, and incoming bytes are discarded.
        case leaving
    }

    /// The limit that a request exceeded.
    public enum Excess: Sendable { case headTooLarge, tooLarge, tooSlow }

    private let limits: ServerLimits
    /// Nil in tests of a lone connection.
    private let place: ConnectionPlace?
    private var context: ChannelHandlerContext?
    /// The current phase.
    public private(set) var phase = Phase.idle
    /// The bytes of this phase.
    private var bytes = 0
    private var deadline = NIODeadline.distantFuture
    private var timer: Scheduled<Void>?
    private var timerDue = NIODeadline.distantFuture
    private var isReadHeld = false
    /// Called when a request is too long or too slow.
    public var onExcess: ((Excess) -> Void)?

    /// Makes a limiter with `limits` for a connection, which has its place among the others.
    public init(limits: ServerLimits, place: ConnectionPlace? = nil) {
        self.limits = limits
        self.place = place
    }

    public func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // A new connection has the same time limit for its first request as every request.
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
        // The decoder has run, so the counted bytes belong to a request that is incomplete.
        switch phase {
        case .head: if bytes > limits.headBytes { onExcess?(.headTooLarge) }
        case .body, .answer: if bytes > limits.wireBytes { onExcess?(.tooLarge) }
        case .idle, .leaving: break
        }
        arm()
    }

    /// Begins a phase and counts its bytes from here.
    public func enter(_ phase: Phase) {
        guard self.phase != .leaving else { return }
        switch phase {
        case .idle:
            deadline = now + .milliseconds(limits.idleMilliseconds)
            place?.set(.idle)
        // One deadline covers a request from its first byte to its last.
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

    /// Records that the client has proven its identity, so that a stranger's connection never displaces its requests.
    public func trust() { place?.trust() }

    // MARK: Going out

    /// Writes an answer, which leaves with everything else that this read causes.
    public func write(_ buffer: ByteBuffer) { context?.write(NIOAny(buffer), promise: nil) }

    /// Writes the last answer and then closes.
    ///
    /// Closing a socket with unread bytes resets the connection, which may destroy the answer on its way. So only the
    /// sending half is closed, and incoming bytes are discarded for a moment.
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

    /// Closes once all written bytes have left.
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

    /// Stops reading while the client does not take its answers.
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

    /// One timer, which is moved only when it would fire too late, because most requests are complete before it fires.
    private func arm() {
        guard timer == nil || deadline < timerDue, let context else { return }
        timer?.cancel()
        timerDue = deadline
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            self?.checkDeadline()
        }
    }

    private func checkDeadline() {
        timer = nil
        guard now >= deadline else { return arm() }
        guard let context else { return }
        switch phase {
        case .idle, .leaving: context.close(promise: nil)
        case .head, .body, .answer:
            // A client that does not read its answers gets no more.
            if isReadHeld { context.close(promise: nil) } else { onExcess?(.tooSlow) }
        }
    }
}
