internal import FoundationEssentials

/// Twilio's error bodies: `{code, message, more_info, status}`, and RFC 9457's `{type, title, status, code, detail}`.
/// Used on the error path only, because a JSON decoder costs 8 µs.
///
/// Other servers' errors look alike (`{"code": 403, "message": "Forbidden"}`), but Twilio's codes have five digits or
/// more.
public struct ErrorBody: Sendable, Equatable {
    public let code: Int
    public let message: String

    /// The longest message kept, in characters.
    static let maximumMessage = 300
    static let leastCode = 10_000

    /// Nil if the bytes are neither body.
    public init?(_ bytes: Span<UInt8>) {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: bytes)) else { return nil }
        guard let code = wire.code?.value, code >= Self.leastCode,
            let message = wire.message ?? wire.detail ?? wire.title
        else { return nil }
        self.code = code
        self.message = String(message.prefix(ErrorBody.maximumMessage))
    }

    private struct Wire: Decodable {
        let code: LenientInt?
        let message: String?
        let title: String?
        let detail: String?
    }
}

/// An integer, or a string that spells one. Twilio uses both.
struct LenientInt: Decodable {
    let value: Int?

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {
            value = number
        } else if let text = try? container.decode(String.self) {
            value = Int(text)
        } else {
            value = nil
        }
    }
}

extension Data {
    /// A copy of the bytes.
    init(copying bytes: Span<UInt8>) {
        self = unsafe bytes.withUnsafeBytes { unsafe Data($0) }
    }
}
