/// One reply of an SMTP server (RFC 5321 4.2): a code of three digits and lines of text.
struct SMTPReply: Equatable {
    var code: Int
    /// The lines without their codes and line breaks. Unchecked bytes from outside.
    var lines: [[UInt8]]

    /// Whether the reply lists `keyword`, in upper case, as an extension (RFC 5321 4.1.1.1).
    func offers(_ keyword: StaticString) -> Bool {
        lines.dropFirst().contains { line in
            let word = line.prefix { $0 > 0x20 }
            return word.count == keyword.utf8CodeUnitCount
                && word.indices.allSatisfy { index in
                    let byte = word[index]
                    let upper = byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") ? byte & 0xDF : byte
                    return unsafe upper == keyword.utf8Start[index - word.startIndex]
                }
        }
    }
}

/// Reads replies from bytes as they arrive, in any pieces.
struct SMTPReplyReader {
    /// The bytes are no reply, or a larger one than is accepted.
    struct Garbled: Error {}

    /// The most bytes of a line, and of a reply. RFC 5321 4.5.3.1.5 allows 512 a line, and servers exceed it.
    static let longestLine = 2048
    static let longestReply = 16_384

    private var line: [UInt8] = []
    private var lines: [[UInt8]] = []
    private var code: Int?
    private var size = 0

    /// Whether no reply has begun.
    var isEmpty: Bool { line.isEmpty && lines.isEmpty }

    /// Takes the next byte. Returns the reply that it completes.
    mutating func take(_ byte: UInt8) throws(Garbled) -> SMTPReply? {
        size += 1
        guard size <= Self.longestReply else { throw Garbled() }
        guard byte == UInt8(ascii: "\n") else {
            line.append(byte)
            if line.count > Self.longestLine { throw Garbled() }
            return nil
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        defer { line.removeAll(keepingCapacity: true) }
        guard line.count >= 3, line[..<3].allSatisfy({ (0x30...0x39).contains($0) }) else { throw Garbled() }
        let number = line[..<3].reduce(0) { $0 * 10 + Int($1 - 0x30) }
        guard (200...599).contains(number), number == code ?? number else { throw Garbled() }
        let mark = line.count > 3 ? line[3] : UInt8(ascii: " ")
        guard mark == UInt8(ascii: " ") || mark == UInt8(ascii: "-") else { throw Garbled() }
        code = number
        lines.append(Array(line.dropFirst(4)))
        guard mark == UInt8(ascii: " ") else { return nil }
        defer { (lines, code, size) = ([], nil, 0) }
        return SMTPReply(code: number, lines: lines)
    }
}
