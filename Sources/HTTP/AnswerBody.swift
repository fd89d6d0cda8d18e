internal import Glibc

/// The body of one answer, lent to the completion handler until it returns.
///
/// A later read traps, because the buffer may hold another answer by then.
public struct AnswerBody: Sendable {
    private let buffer: AnswerBuffer
    private let loan: UInt64

    init(_ buffer: AnswerBuffer) {
        self.buffer = buffer
        loan = buffer.loan
    }

    /// The number of bytes.
    public var count: Int {
        check()
        return buffer.count
    }

    /// Calls `body` with the bytes, without copying them.
    public func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        check()
        return try unsafe body(Span(_unsafeElements: buffer.filled))
    }

    /// A copy of the bytes that the caller may keep.
    public func copy() -> [UInt8] {
        check()
        return unsafe Array(buffer.filled)
    }

    private func check() {
        precondition(buffer.loan == loan, "an answer's body was read after the completion handler had returned")
    }
}

/// The buffer for the bytes of one answer. It is reused, and wiped between two answers, because Twilio's answers repeat
/// the message's text.
///
/// `@unchecked Sendable`: owned by a `Multi` and touched on its loop's thread alone.
@safe final class AnswerBuffer: @unchecked Sendable {
    private var storage: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0
    /// The number of answers so far. An `AnswerBody` is checked against it.
    private(set) var loan: UInt64 = 0

    /// Twilio's answers to a create have about 900 bytes.
    private static let usualSize = 2048

    init() { unsafe storage = .allocate(capacity: Self.usualSize) }

    deinit {
        wipe()
        unsafe storage.deallocate()
    }

    var filled: UnsafeBufferPointer<UInt8> { unsafe UnsafeBufferPointer(start: storage.baseAddress, count: count) }

    /// Adds `size` bytes. Returns false and adds nothing if the total would exceed `limit`.
    func append(_ bytes: UnsafeRawPointer, _ size: Int, limit: Int) -> Bool {
        guard size <= limit - count else { return false }
        if unsafe count + size > storage.count { grow(to: max(count + size, 2 * count)) }
        if size > 0 { unsafe memcpy(storage.baseAddress! + count, bytes, size) }
        count += size
        return true
    }

    /// Ends the loan: wipes the bytes, and frees the extra storage of an unusually large answer.
    func reset() {
        wipe()
        count = 0
        loan += 1
        if unsafe storage.count > 4 * Self.usualSize {
            unsafe storage.deallocate()
            unsafe storage = .allocate(capacity: Self.usualSize)
        }
    }

    private func grow(to capacity: Int) {
        let larger = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: capacity)
        if count > 0 { unsafe memcpy(larger.baseAddress!, storage.baseAddress!, count) }
        wipe()
        unsafe storage.deallocate()
        unsafe storage = larger
    }

    private func wipe() {
        if count > 0 { unsafe explicit_bzero(storage.baseAddress!, count) }
    }
}
