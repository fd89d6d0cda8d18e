import NIOCore
import NIOHTTP1

/// One client's connection: reads a request, asks the simulator, and delivers the reply, faults included.
///
/// Everything is a callback or a plain call on the event loop. Requests that arrive while another one is being answered
/// (slow, or pipelined) wait for their turn.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private static let maxBodyBytes = 1 << 20

    private let simulator: Simulator
    private let outlet: RawOutlet
    private let postCallback: (ScheduledCallback) -> Void
    private var gathering: Request?
    private var waiting: [Request] = []
    /// Set from a request's end until its answer is sent.
    private var answering = false
    /// Whether the request being answered is counted as concurrent.
    private var counted = false
    private var closing = false
    /// The client will send no more. A pending answer is still sent.
    private var inputClosed = false
    /// The answer never comes. The connection stays open until the client closes it.
    private var unanswered = false

    init(simulator: Simulator, outlet: RawOutlet, postCallback: @escaping (ScheduledCallback) -> Void) {
        self.simulator = simulator
        self.outlet = outlet
        self.postCallback = postCallback
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !closing else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            gathering = Self.request(head)
            if head.headers.first(name: "Expect") != nil {
                outlet.send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8), close: false)
            }
        case .body(let buffer):
            gathering?.body.append(contentsOf: buffer.readableBytesView)
            if let size = gathering?.body.count, size > Self.maxBodyBytes {
                gathering = nil
                let answer = Answer(status: 413, content: .text, body: Array("the body is larger than 1 MiB\n".utf8))
                closing = true
                outlet.send(answer.serialized(keepAlive: false, concurrent: simulator.concurrent), close: true)
            }
        case .end:
            guard let request = gathering else { return }
            gathering = nil
            if answering { waiting.append(request) } else { answer(request, context) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        closing = true
        release()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        inputClosed = true
        if !answering || unanswered { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError, !closing else { return context.close(promise: nil) }
        closing = true
        let answer = Answer(status: 400, content: .text, body: Array("not HTTP: \(error)\n".utf8))
        outlet.send(answer.serialized(keepAlive: false, concurrent: simulator.concurrent), close: true)
    }

    private func answer(_ request: Request, _ context: ChannelHandlerContext) {
        answering = true
        if simulator.isCreate(request) {
            counted = true
            simulator.began()
        }
        let reply = simulator.respond(to: request, at: WallClock.now())
        for callback in reply.callbacks { postCallback(callback) }
        if reply.delayMilliseconds > 0 {
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(reply.delayMilliseconds))) {
                self.deliver(reply, keepAlive: request.keepAlive, context)
            }
        } else {
            deliver(reply, keepAlive: request.keepAlive, context)
        }
    }

    private func deliver(_ reply: Reply, keepAlive: Bool, _ context: ChannelHandlerContext) {
        guard !closing else { return }
        let keepAlive = keepAlive && !(inputClosed && waiting.isEmpty)
        let bytes = reply.answer.serialized(keepAlive: keepAlive, concurrent: simulator.concurrent)
        switch reply.delivery {
        case .whole:
            closing = !keepAlive
            release()
            outlet.send(bytes, close: closing)
            if !closing, !waiting.isEmpty { answer(waiting.removeFirst(), context) }
        case .closeUnanswered:
            closing = true
            context.close(promise: nil)
        case .closeMidAnswer:
            closing = true
            outlet.send(Array(bytes.dropLast((reply.answer.body.count + 1) / 2)), close: true)
        case .garbage:
            closing = true
            outlet.send([0x00, 0xFF, 0xFE] + Array("this is no HTTP\r\n\r\n".utf8), close: true)
        case .never:
            unanswered = true
            if inputClosed { context.close(promise: nil) }
        }
    }

    private func release() {
        answering = false
        if counted {
            counted = false
            simulator.finished()
        }
    }

    private static func request(_ head: HTTPRequestHead) -> Request {
        let method: Request.Method =
            switch head.method {
            case .GET: .get
            case .POST: .post
            case .DELETE: .delete
            default: .other
            }
        var request = Request(
            method: method, target: head.uri, authorization: head.headers.first(name: "Authorization"))
        // Two Host headers are treated like a foreign one.
        let hosts = head.headers["Host"]
        request.host = hosts.count > 1 ? "" : hosts.first
        request.keepAlive = head.isKeepAlive
        request.wantsProblemDetails = head.headers.first(name: "Accept")?.contains("application/problem+json") ?? false
        return request
    }
}
