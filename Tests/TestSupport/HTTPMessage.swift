/// A complete request or answer of HTTP/1.1: its head without the empty line, and as much body as Content-Length says.
public struct HTTPMessage: Sendable {
    public let head: String
    public let body: [UInt8]
    /// The size on the wire.
    public let byteCount: Int

    /// The message at the beginning of `bytes`; nil while it is incomplete. Without a Content-Length it has no body.
    public init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        let field = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
        let length = field.flatMap { Int($0.dropFirst("content-length:".count).filter { $0 != " " }) } ?? 0
        guard bytes.count - end.upperBound >= length else { return nil }
        body = Array(bytes[end.upperBound..<end.upperBound + length])
        byteCount = end.upperBound + length
    }

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }
    /// An answer's status; nil for a request.
    public var status: Int? { Int(head.split(separator: " ").dropFirst().first ?? "") }
}
