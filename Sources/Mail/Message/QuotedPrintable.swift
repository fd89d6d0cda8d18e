/// Writes bytes as quoted-printable (RFC 2045 6.7): lines of at most 76 characters of ASCII. Nothing that is written
/// can be a boundary, or begin a line with a dot.
struct QuotedPrintable {
    private static let longestLine = 76
    private var column = 0
    /// A space or a tab that is not written yet, because it must be encoded at the end of a line.
    private var space: UInt8?

    mutating func put(_ byte: UInt8, into buffer: inout [UInt8]) {
        if let held = space {
            space = nil
            write(held, isPlain: true, into: &buffer)
        }
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\t"): space = byte
        case UInt8(ascii: "="): write(byte, isPlain: false, into: &buffer)
        // SMTP doubles such a dot, and mailboxes quote "From ". A server that forgets one of them does no harm.
        case UInt8(ascii: "."), UInt8(ascii: "F"): write(byte, isPlain: !isAtLineStart(adding: 1), into: &buffer)
        default: write(byte, isPlain: (0x21...0x7E).contains(byte), into: &buffer)
        }
    }

    mutating func put(_ text: StaticString, into buffer: inout [UInt8]) {
        for index in 0..<text.utf8CodeUnitCount { unsafe put(text.utf8Start[index], into: &buffer) }
    }

    /// Ends a line of the text.
    mutating func endLine(into buffer: inout [UInt8]) {
        if let held = space {
            space = nil
            write(held, isPlain: false, into: &buffer)
        }
        buffer.append(contentsOf: "\r\n".utf8)
        column = 0
    }

    private func isAtLineStart(adding count: Int) -> Bool { column == 0 || column + count > Self.longestLine - 1 }

    private mutating func write(_ byte: UInt8, isPlain: Bool, into buffer: inout [UInt8]) {
        let count = isPlain ? 1 : 3
        // The last column is for the "=" of a soft line break.
        if column + count > Self.longestLine - 1 {
            buffer.append(contentsOf: "=\r\n".utf8)
            column = 0
        }
        column += count
        guard !isPlain else { return buffer.append(byte) }
        buffer.append(UInt8(ascii: "="))
        for digit in [byte >> 4, byte & 15] {
            buffer.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10)
        }
    }
}
