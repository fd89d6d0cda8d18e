import HTTPServer
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import OTP
import Twilio

@testable import Callbacks

/// A receiver's settings, and signed requests for it.
enum Fixture {
    static let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    static let token = Secret("12345")
    static let url = "https://sms.example.com/status"
    static let query = "?reference=42.3"
    static let sid = "SM" + String(repeating: "0a", count: 16)

    static func body(_ status: String = "sent", sid: String = sid) -> [(name: String, value: String)] {
        [("MessageSid", sid), ("MessageStatus", status), ("To", "+966501234567")]
    }

    static func encoded(_ fields: [(name: String, value: String)]) -> String {
        fields.map {
            "\($0.name)=\($0.value.split(separator: "+", omittingEmptySubsequences: false).joined(separator: "%2B"))"
        }
        .joined(separator: "&")
    }

    static func signature(_ fields: [(name: String, value: String)] = body(), query: String = query) -> String {
        Signature(authToken: token).make(url: url + query, parameters: fields)
    }

    /// A request as Twilio sends it, with what is to be different.
    static func request(
        _ status: String = "sent", sid: String = sid, method: String = "POST", target: String = "/status" + query,
        type: String? = "application/x-www-form-urlencoded; charset=UTF-8", signature: String? = nil,
        headers: [String] = [], isChunked: Bool = false
    ) -> String {
        let body = encoded(body(status, sid: sid))
        let signature = signature ?? Self.signature(Self.body(status, sid: sid))
        var lines = ["\(method) \(target) HTTP/1.1", "Host: 127.0.0.1"] + headers
        if let type { lines.append("Content-Type: \(type)") }
        if !signature.isEmpty { lines.append("X-Twilio-Signature: \(signature)") }
        guard isChunked else {
            return (lines + ["Content-Length: \(body.utf8.count)", "", ""]).joined(separator: "\r\n") + body
        }
        let chunks = body.map { "1\r\n\($0)\r\n" }.joined() + "0\r\n\r\n"
        return (lines + ["Transfer-Encoding: chunked", "", ""]).joined(separator: "\r\n") + chunks
    }

    /// The head of a chunked request, whose chunks are to follow.
    static func chunkedHead(_ signature: String) -> String {
        [
            "POST /status\(query) HTTP/1.1", "Host: a", "X-Twilio-Signature: \(signature)",
            "Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked", "", "",
        ].joined(separator: "\r\n")
    }

    static func shared(_ buffer: ReceiptBuffer, _ limits: Limits = Limits()) -> CallbackConnection.Shared {
        let reader = CallbackReader(publicURL: url, authToken: token)
        return CallbackConnection.Shared(
            rule: RequestRule(path: reader.path, bodyBytes: limits.bodyBytes), reader: CurrentReader(reader),
            buffer: buffer)
    }
}

/// One connection without a socket, on a clock that the test moves.
final class Client {
    let buffer: ReceiptBuffer
    private let channel: EmbeddedChannel

    init(_ limits: Limits = Limits()) throws {
        buffer = ReceiptBuffer(capacity: limits.buffered)
        let limiter = RequestLimiter(limits: limits.server)
        channel = EmbeddedChannel()
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(limiter)
        try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        try pipeline.addHandler(CallbackConnection(Fixture.shared(buffer, limits), limiter: limiter))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    func send(_ text: some StringProtocol) throws {
        guard channel.isActive else { return }
        try channel.writeInbound(ByteBuffer(substring: Substring(text)))
    }

    /// Lets time pass.
    func wait(_ milliseconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .milliseconds(milliseconds)) }

    /// Sends no more.
    func endInput() { channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }

    /// The server wants to stop.
    func quiesce() { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }

    var isOpen: Bool {
        channel.embeddedEventLoop.run()
        return channel.isActive
    }

    /// Everything answered since the last look.
    func answers() throws -> String {
        var all = ""
        while var buffer = try channel.readOutbound(as: ByteBuffer.self) {
            all += buffer.readString(length: buffer.readableBytes) ?? ""
        }
        return all
    }

    /// The status codes answered since the last look.
    func statuses() throws -> [Int] {
        try answers().split(separator: "\r\n").filter { $0.hasPrefix("HTTP/1.1 ") }.compactMap {
            Int($0.dropFirst(9).prefix(3))
        }
    }

    /// Whether a read gets through to the socket.
    func reads(whileWritable isWritable: Bool) throws -> Bool {
        let probe = ReadProbe()
        try channel.pipeline.syncOperations.addHandler(probe, position: .first)
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
        channel.read()
        return probe.hasRead
    }
}

private final class ReadProbe: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var hasRead = false
    func read(context: ChannelHandlerContext) {
        hasRead = true
        context.read()
    }
}
