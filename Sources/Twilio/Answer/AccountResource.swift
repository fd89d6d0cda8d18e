internal import FoundationEssentials

/// An account as Twilio tells of it. Its auth token, which is in the answer too, is never read.
public struct AccountResource: Sendable, Hashable {
    /// `active`, `suspended` or `closed`.
    public let status: String
    /// `Trial` or `Full`; nil where Twilio does not say.
    public let type: String?

    /// Nil where the bytes are no account.
    public init?(json bytes: Span<UInt8>) {
        guard let wire = try? JSONDecoder().decode(Wire.self, from: Data(copying: bytes)) else { return nil }
        (status, type) = (wire.status, wire.type)
    }

    private struct Wire: Decodable {
        let sid: String
        let status: String
        let type: String?
    }
}
