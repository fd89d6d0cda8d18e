internal import Glibc

/// Bytes that must never be printed: an auth token, an API key, the text of a message.
///
/// Every way to print a value gives `redacted`. Only ``withBytes(_:)`` gives the bytes, while its closure runs. They
/// are wiped when the last copy is released.
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

    /// Lends the bytes to `body`. A copy that `body` makes is no longer protected.
    public func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try storage.withBytes(body)
    }

    /// Owns the bytes and wipes them at the end.
    ///
    /// `@unchecked Sendable`: the bytes are written once in `init`, before any other thread can see the object. They
    /// are only read until `deinit`, when no other reference exists. So any thread may hold it for as long as it likes.
    @safe
    private final class Storage: @unchecked Sendable {
        private let bytes: UnsafeMutableBufferPointer<UInt8>

        init(_ source: Span<UInt8>) {
            unsafe bytes = UnsafeMutableBufferPointer.allocate(capacity: source.count)
            for index in source.indices { unsafe bytes.initializeElement(at: index, to: source[index]) }
        }

        deinit {
            // The compiler may drop a plain store before a free; it may not drop this call.
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
    /// Compares in a time that depends on the lengths alone, never on the bytes.
    public static func == (left: Secret, right: Secret) -> Bool {
        left.withBytes { left in right.withBytes { right in ConstantTime.equal(left, right) } }
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "redacted" }
    public var debugDescription: String { "redacted" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Comparison whose duration does not reveal where two values first differ.
public enum ConstantTime {
    /// Whether both hold the same bytes. Takes a time that depends on the lengths alone.
    public static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
