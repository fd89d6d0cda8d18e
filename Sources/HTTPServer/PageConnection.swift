public import Logging
import NIOCore
import NIOHTTP1

/// One client that reads pages, one request at a time. The answer may come at any later time.
///
/// All calls are on its event loop. Bytes that arrive while an answer is awaited are ignored, and the connection ends
/// with that answer, because browsers and scrapers do not pipeline.
final class PageConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private let respond: PageServer.Respond
    private let limiter: RequestLimiter
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    /// The request whose answer is awaited.
    private var awaited: Awaited?
    private var serial = 0
    /// The client will send no more, or the server stops, so the request under way is the last one.
    private var isLast = false

    private struct Awaited {
        var serial: Int
        var isHead: Bool
        var keepsAlive: Bool
    }

    init(limiter: RequestLimiter, respond: @escaping PageServer.Respond) {
        self.limiter = limiter
        self.respond = respond
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        limiter.onExcess = { [weak self] excess in
            switch excess {
            case .headTooLarge: self?.refuse(PageAnswer(431, "The request's headers are too large."))
            case .tooLarge: self?.refuse(PageAnswer(413, "A request for a page must not have a body."))
            case .tooSlow: self?.refuse(PageAnswer(408, "The request took too long."))
            }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelInactive(context: ChannelHandlerContext) {
        awaited = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard limiter.phase != .leaving else { return }
        guard awaited == nil else {
            isLast = true
            return
        }
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard head.method == .GET || head.method == .HEAD else {
                return refuse(
                    PageAnswer(405, "This page allows GET and HEAD only.", headers: [("Allow", "GET, HEAD")]))
            }
            limiter.enter(.body)
            self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            ask(head, context)
        }
    }

    private func ask(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        serial += 1
        limiter.enter(.answer)
        awaited = Awaited(serial: serial, isHead: head.method == .HEAD, keepsAlive: head.isKeepAlive)
        let target = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let authorization = head.headers["authorization"]
        let request = PageRequest(
            path: String(target.first ?? ""), query: target.count > 1 ? String(target[1]) : "",
            host: head.headers.first(name: "host") ?? "",
            authorization: authorization.count > 1 ? "" : authorization.first,
            client: context.remoteAddress?.ipAddress ?? "")
        let (me, eventLoop, serial) = (NIOLoopBound(self, eventLoop: context.eventLoop), context.eventLoop, serial)
        respond(request) { answer in
            if eventLoop.inEventLoop {
                me.value.take(answer, of: serial)
            } else {
                eventLoop.execute { me.value.take(answer, of: serial) }
            }
        }
    }

    private func take(_ answer: PageAnswer, of serial: Int) {
        guard let request = awaited, request.serial == serial else { return }
        awaited = nil
        let keepsAlive = request.keepsAlive && !isLast
        let bytes = Self.bytes(answer, isHead: request.isHead, keepsAlive: keepsAlive)
        if keepsAlive {
            limiter.enter(.idle)
            limiter.write(bytes)
            context?.flush()
        } else {
            limiter.leave(with: bytes)
        }
    }

    private func refuse(_ answer: PageAnswer) {
        // A decoder that is cut off in the middle reports one more error.
        guard limiter.phase != .leaving else { return }
        awaited = nil
        limiter.leave(with: Self.bytes(answer, isHead: false, keepsAlive: false))
    }

    private static func bytes(_ answer: PageAnswer, isHead: Bool, keepsAlive: Bool) -> ByteBuffer {
        var buffer = ByteBuffer(string: answer.head(keepsAlive: keepsAlive))
        if !isHead { buffer.writeBytes(answer.body) }
        return buffer
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isLast = true
            if awaited == nil { limiter.leave() }
        } else if event is ChannelShouldQuiesceEvent {
            isLast = true
            if limiter.phase == .idle { limiter.leave() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.close(promise: nil) }
        refuse(PageAnswer(400, "This is not HTTP/1.1."))
    }
}

/// Serves pages to be read: GET and HEAD, bounded in bytes and time, with a strict Content-Security-Policy on every answer.
public enum PageServer {
    /// Answers a request. Called on the server's thread, which it must not block. It calls back once, from any thread,
    /// at once or later.
    public typealias Respond = @Sendable (PageRequest, @escaping @Sendable (PageAnswer) -> Void) -> Void

    /// The limits for a client of pages: hardly any body, and few connections.
    public static let limits: ServerLimits = {
        var limits = ServerLimits()
        limits.connections = 64
        limits.headBytes = 8 << 10
        limits.wireBytes = 1 << 10
        return limits
    }()

    /// Makes a server of pages. `setting` is the setting that holds the address.
    public static func make(
        _ address: ListenAddress, setting: String, log: Logger, respond: @escaping Respond
    ) -> ListeningServer {
        ListeningServer(address, limits: limits, setting: setting, log: log) { limiter in
            PageConnection(limiter: limiter, respond: respond)
        }
    }
}
