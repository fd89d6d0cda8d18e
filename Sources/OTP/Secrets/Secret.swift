internal import Glibc

/// Bytes that must never be printed: an auth token, an API key, the text of a message.
///
/// Every way a value prints itself says `redacted`. The bytes come only through ``withBytes(_:)``, for as long as that
/// closure runs, and are wiped when the last copy goes.
public struct Secret: Sendable {
    private let storage: Storage

    public init(_ bytes: Span<UInt8>) {
        storage = Storage(bytes)
    }

    public init(_ text: String) {
        storage = Storage(text.utf8.span)
    }

    public var count: Int { storage.count }
    public var isEmpty: Bool { storage.count == 0 }

    /// The bytes, while `body` runs. What it copies out is no longer protected.
    public func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try storage.withBytes(body)
    }

    /// Owns the bytes and wipes them at the end.
    ///
    /// `@unchecked Sendable`: written once in `init`, before anybody else can see it, and only read until `deinit`, when
    /// nobody else has it; so any thread may hold it for as long as it likes.
    @safe
    private final class Storage: @unchecked Sendable {
        private let bytes: UnsafeMutableBufferPointer<UInt8>

        init(_ source: Span<UInt8>) {
            unsafe bytes = UnsafeMutableBufferPointer.allocate(capacity: source.count)
            for index in source.indices { unsafe bytes.initializeElement(at: index, to: source[index]) }
        }

        deinit {
            // A plain store before a free may be optimised away; this call may not.
            if let base = unsafe bytes.baseAddress { unsafe explicit_bzero(base, bytes.count) }
            unsafe bytes.deallocate()
        }

        var count: Int { unsafe bytes.count }

        func withBytes<Result: ~Copyable, Failure: Error>(
            _ body: (Span<UInt8>) throws(Failure) -> Result
        ) throws(Failure) -> Result {
            try body(unsafe Span(_unsafeElements: bytes))
        }
    }
}

extension Secret: Equatable {
    /// Compares in a time that depends on the lengths alone.
    public static func == (left: Secret, right: Secret) -> Bool {
        left.withBytes { left in right.withBytes { right in ConstantTime.equal(left, right) } }
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "redacted" }
    public var debugDescription: String { "redacted" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Comparison that does not tell by its time where two values first differ.
public enum ConstantTime {
    /// Whether both hold the same bytes. Takes a time that depends on the lengths alone.
    public static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
