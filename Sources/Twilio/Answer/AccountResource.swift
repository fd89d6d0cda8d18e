internal import FoundationEssentials

/// An account as Twilio describes it. The answer holds the auth token too, which is never read.
public struct AccountResource: Sendable, Hashable {
    /// `active`, `suspended` or `closed`.
    public let status: String
    /// `Trial` or `Full`; nil where Twilio does not say.
    public let type: String?

    /// Nil if the bytes are not an account.
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
