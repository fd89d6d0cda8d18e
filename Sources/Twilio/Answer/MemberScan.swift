internal import Glibc

/// Walks the top level of a JSON object without building anything. On the hot path only two of about twenty members
/// matter.
///
/// Reads strings (with escapes) and nesting exactly. So it takes neither `account_sid` nor a `"sid"` inside a message's
/// text or a nested object for the member. Skips numbers and literals without checking them. Never reads outside the
/// bytes, whatever they are. Every call must be given the same bytes.
struct MemberScan {
    private var at = 0

    /// A member: the ranges of its name and of its value if that is a string, both between the quotes, as written.
    struct Member {
        let name: Range<Int>
        let string: Range<Int>?
    }

    /// Nil if the bytes do not begin an object.
    init?(_ bytes: Span<UInt8>) {
        skipSpace(bytes)
        guard take(UInt8(ascii: "{"), bytes) else { return nil }
    }

    /// The next member; nil at the end of the object, at the end of the bytes, or at invalid JSON.
    mutating func next(in bytes: Span<UInt8>) -> Member? {
        skipSpace(bytes)
        _ = take(UInt8(ascii: ","), bytes)
        skipSpace(bytes)
        guard let name = string(bytes) else { return nil }
        skipSpace(bytes)
        guard take(UInt8(ascii: ":"), bytes) else { return nil }
        skipSpace(bytes)
        if let string = string(bytes) { return Member(name: name, string: string) }
        guard skipValue(bytes) else { return nil }
        return Member(name: name, string: nil)
    }

    private mutating func skipSpace(_ bytes: Span<UInt8>) {
        while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 {
            at += 1
        }
    }

    private mutating func take(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    /// The range of a string, between its quotes; nil if none begins here or it does not end.
    private mutating func string(_ bytes: Span<UInt8>) -> Range<Int>? {
        guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { return nil }
        var end = at + 1
        // Most strings have no escape. libc finds their end at a third of the cost of the walk below.
        if let quote = bytes.firstIndex(of: UInt8(ascii: "\""), in: end..<bytes.count) {
            guard let escape = bytes.firstIndex(of: UInt8(ascii: "\\"), in: end..<quote) else {
                defer { at = quote + 1 }
                return end..<quote
            }
            end = escape
        }
        while end < bytes.count {
            switch bytes[end] {
            case UInt8(ascii: "\""):
                defer { at = end + 1 }
                return at + 1..<end
            case UInt8(ascii: "\\"): end += 2
            default: end += 1
            }
        }
        return nil
    }

    /// Skips a value other than a string; false if it does not end.
    private mutating func skipValue(_ bytes: Span<UInt8>) -> Bool {
        var depth = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                guard depth > 0, string(bytes) != nil else { return false }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // The end of the object itself, and so of the value before it.
                guard depth > 0 else { return true }
                depth -= 1
                at += 1
                if depth == 0 { return true }
            case UInt8(ascii: ","):
                guard depth > 0 else { return true }
                at += 1
            default:
                at += 1
            }
        }
        return false
    }
}

extension Span<UInt8> {
    /// The first index of `byte` in `range`, which must lie within the bytes; nil if it is absent.
    fileprivate func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
        unsafe extracting(range).withUnsafeBytes { found in
            guard let start = found.baseAddress, let place = unsafe memchr(start, Int32(byte), found.count) else {
                return nil
            }
            return unsafe range.lowerBound + start.distance(to: place)
        }
    }

    /// Whether the bytes equal those of `text`.
    func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { expected in
            for index in indices where unsafe self[index] != expected[index] { return false }
            return true
        }
    }
}
