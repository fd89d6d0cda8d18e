import HTTPServer
import NIOCore
import NIOHTTP1
import Synchronization
import Twilio

/// One client's connection: gathers a request, checks its signature, puts the callback into the buffer, and answers.
///
/// Plain calls on the event loop; nothing waits, so that pipelined requests are answered in their order by themselves.
final class CallbackConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    /// What all connections share.
    struct Shared: Sendable {
        let rule: RequestRule
        let reader: CurrentReader
        let buffer: ReceiptBuffer
    }

    private let shared: Shared
    private let limiter: RequestLimiter
    private var gathering: Gathering?
    /// The client will send no more, or the receiver stops: the request under way is the last one.
    private var isLast = false

    private struct Gathering {
        var awaited: RequestRule.Awaited
        var keepsAlive: Bool
        var body = ByteBuffer()
    }

    init(_ shared: Shared, limiter: RequestLimiter) {
        self.shared = shared
        self.limiter = limiter
    }

    func handlerAdded(context: ChannelHandlerContext) {
        limiter.onExcess = { [weak self] excess in
            switch excess {
            case .headTooLarge: self?.refuse(.headTooLarge)
            case .tooLarge: self?.refuse(.tooLarge)
            case .tooSlow: self?.refuse(.tooSlow)
            }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard limiter.phase != .leaving else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            switch shared.rule.decide(head) {
            case .refuse(let answer): refuse(answer)
            case .read(let awaited):
                limiter.enter(.body)
                gathering = Gathering(awaited: awaited, keepsAlive: head.isKeepAlive)
                if awaited.isExpecting {
                    limiter.write(HTTPReply.goOn)
                    context.flush()
                }
            }
        case .body(var part):
            let size = (gathering?.body.readableBytes ?? 0) + part.readableBytes
            if size > shared.rule.bodyBytes { return refuse(.tooLarge) }
            if size == part.readableBytes { gathering?.body = part } else { gathering?.body.writeBuffer(&part) }
        case .end:
            guard let request = gathering else { return }
            gathering = nil
            take(request)
        }
    }

    private func take(_ request: Gathering) {
        let body = Array(request.body.readableBytesView)
        do throws(CallbackReader.Rejection) {
            shared.buffer.enqueue(
                try shared.reader.value.read(
                    body.span, as: request.awaited.format, query: request.awaited.query,
                    signature: request.awaited.signature))
        } catch {
            switch error {
            case .signature: return refuse(.forbidden)
            case .notStatus: return refuse(.notStatus)
            }
        }
        limiter.trust()
        if request.keepsAlive, !isLast {
            limiter.enter(.idle)
            limiter.write(HTTPReply.ok.bytes(keepsAlive: true))
        } else {
            limiter.leave(with: HTTPReply.ok.bytes(keepsAlive: false))
        }
    }

    private func refuse(_ answer: HTTPReply) {
        // A decoder that is cut off in the middle complains once more.
        guard limiter.phase != .leaving else { return }
        gathering = nil
        shared.buffer.refused(answer)
        limiter.leave(with: answer.bytes(keepsAlive: false))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            // Complete requests are answered already, and an incomplete one stays incomplete.
            limiter.leave()
        } else if event is ChannelShouldQuiesceEvent {
            isLast = true
            if limiter.phase == .idle { limiter.leave() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.close(promise: nil) }
        refuse(.notHTTP)
    }
}

/// The reader in force. The receiver's thread uses it, and the loop replaces it when the auth token changes.
final class CurrentReader: Sendable {
    private let reader: Mutex<CallbackReader>

    init(_ reader: CallbackReader) { self.reader = Mutex(reader) }

    var value: CallbackReader {
        get { reader.withLock(\.self) }
        set { reader.withLock { $0 = newValue } }
    }
}
