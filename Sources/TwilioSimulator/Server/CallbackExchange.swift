import NIOCore
import NIOHTTP1

/// A callback connection, with one POST and its answer at a time.
final class CallbackExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart
    /// Whether the receiver accepted it (2xx), and whether the connection can be reused.
    typealias Completion = (_ succeeded: Bool, _ reusable: Bool) -> Void

    private var context: ChannelHandlerContext?
    private var completion: Completion?
    private var status = 0
    private var keepAlive = false
    private var deadline: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func post(_ callback: Callback, authToken: String, completion: @escaping Completion) {
        guard let context, context.channel.isActive else { return completion(false, false) }
        self.completion = completion
        var body: [UInt8] = []
        let parameters = callback.parameters
        for parameter in parameters {
            if !body.isEmpty { body.append(UInt8(ascii: "&")) }
            PercentEncoding.append(parameter.name.utf8, to: &body)
            body.append(UInt8(ascii: "="))
            PercentEncoding.append(parameter.value.utf8, to: &body)
        }
        let url = callback.url
        let headers: HTTPHeaders = [
            "Host": url.port == 80 ? url.host : "\(url.host):\(url.port)",
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "Content-Length": String(body.count),
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": Signature.sign(url: url.text, parameters: parameters, authToken: authToken),
        ]
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: url.target, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(15)) { self.finish(false, false) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = Int(head.status.code)
            keepAlive = head.isKeepAlive
        case .body:
            break
        case .end:
            finish((200..<300).contains(status), keepAlive)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { finish(false, false) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(false, false)
        context.close(promise: nil)
    }

    private func finish(_ succeeded: Bool, _ reusable: Bool) {
        deadline?.cancel()
        deadline = nil
        guard let completion else { return }
        self.completion = nil
        completion(succeeded, reusable)
    }
}
