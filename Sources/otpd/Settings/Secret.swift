/// Stands in for `OTP.Secret`, with the same shape, until that is merged: then delete this file and import OTP where the
/// compiler asks for it. Every way a value prints itself says `redacted`.
struct Secret: Sendable, Equatable {
    private let bytes: [UInt8]

    init(_ text: String) { bytes = Array(text.utf8) }

    var count: Int { bytes.count }
    var isEmpty: Bool { bytes.isEmpty }

    /// The bytes, while `body` runs.
    func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(bytes.span)
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    var description: String { "redacted" }
    var debugDescription: String { "redacted" }
    var customMirror: Mirror { Mirror(self, children: []) }
}
