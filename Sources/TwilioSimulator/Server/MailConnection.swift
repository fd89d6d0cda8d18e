import NIOCore

/// One client's connection to the sink of e-mails: takes lines, asks the session, and sends replies, faults included.
///
/// Lines that arrive while a reply is held back (a slow one) wait for their turn.
final class MailConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let simulator: Simulator
    private let tls: TLSContext?
    private var session: SMTPSession
    private var lines = LineBuffer()
    /// Set while a reply is held back, and after the last one.
    private var isWaiting = false
    /// Whether the mail that arrives now has had the chance of its fault.
    private var contentBegan = false

    init(simulator: Simulator, tls: TLSContext?, rules: SMTPRules, isSecure: Bool) {
        self.simulator = simulator
        self.tls = tls
        session = SMTPSession(rules, isSecure: isSecure)
    }

    func channelActive(context: ChannelHandlerContext) {
        perform(SMTPSession.Event(step: .connect, reply: SMTPSession.greeting), session, context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(unwrapInboundIn(data).readableBytesView)
        proceed(context)
        if lines.isTooLong { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func proceed(_ context: ChannelHandlerContext) {
        while !isWaiting, let line = lines.next() {
            if session.isInContent, !contentBegan {
                contentBegan = true
                if simulator.mailFault(.content, to: session.recipient) != nil { return end(context) }
            }
            // A mail grows in place. Its last line may have a fault.
            if session.isInContent, line != SMTPSession.contentEnd {
                _ = session.receive(line)
                continue
            }
            var next = session
            guard let event = next.receive(line) else {
                session = next
                continue
            }
            perform(event, next, context)
        }
    }

    /// Answers one line. `next` is the session after it, which a fault may prevent.
    private func perform(_ event: SMTPSession.Event, _ next: SMTPSession, _ context: ChannelHandlerContext) {
        if event.step == .final { contentBegan = false }
        let fault = event.step.flatMap { simulator.mailFault($0, to: event.to) }
        switch fault {
        case nil: commit(event, next, context)
        case .reply(let code, let text):
            simulator.countMail(event.step, code: code)
            if event.step == .final { session.resetMail() }
            send(SMTPReply(code, text), context)
            if event.step == .connect || code == 421 { end(context) }
        case .close: end(context)
        case .keepThenClose:
            keep(event)
            end(context)
        case .slow(let milliseconds):
            isWaiting = true
            keep(event)
            session = next
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(milliseconds))) {
                self.isWaiting = false
                self.answer(event, context)
                self.proceed(context)
            }
        case .never:
            isWaiting = true
            keep(event)
        }
    }

    private func commit(_ event: SMTPSession.Event, _ next: SMTPSession, _ context: ChannelHandlerContext) {
        session = next
        keep(event)
        answer(event, context)
    }

    private func keep(_ event: SMTPSession.Event) {
        if case .deliver(let envelope) = event.effect { simulator.deliver(envelope, at: WallClock.now()) }
    }

    private func answer(_ event: SMTPSession.Event, _ context: ChannelHandlerContext) {
        simulator.countMail(event.step, code: event.reply.code)
        send(event.reply, context)
        switch event.effect {
        case .none, .deliver: break
        case .close: end(context)
        case .startTLS: startTLS(context)
        }
    }

    /// The reply that invites the client has gone out already, in plain text.
    private func startTLS(_ context: ChannelHandlerContext) {
        lines.clear()
        session.becameSecure()
        do {
            guard let tls else { return end(context) }
            let handler = TLSHandler(try TLSState(tls))
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            end(context)
        }
    }

    private func send(_ reply: SMTPReply, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: reply.bytes)), promise: nil)
    }

    private func end(_ context: ChannelHandlerContext) {
        isWaiting = true
        context.close(promise: nil)
    }
}
