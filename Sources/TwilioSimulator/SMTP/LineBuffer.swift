/// Splits bytes into lines at CRLF. A bare CR or LF is a part of its line, so that no client can hide a line in a mail.
struct LineBuffer {
    /// The longest line. A longer one is cut, which no command survives.
    static let maxLine = 8192

    private var pending: [UInt8] = []
    /// Where the search for the next end goes on.
    private var searched = 0

    mutating func append(_ bytes: some Sequence<UInt8>) { pending.append(contentsOf: bytes) }

    /// The next line, without its end; nil until it is complete.
    mutating func next() -> [UInt8]? {
        var position = max(searched, 1)
        while position < pending.count {
            if pending[position] == UInt8(ascii: "\n"), pending[position - 1] == UInt8(ascii: "\r") {
                let line = Array(pending[..<(position - 1)].prefix(Self.maxLine))
                pending.removeFirst(position + 1)
                searched = 0
                return line
            }
            position += 1
        }
        searched = position
        return nil
    }

    /// Whether a line without an end is longer than any mail.
    var isTooLong: Bool { pending.count > 1 << 20 && searched >= pending.count }

    /// Forgets everything. Bytes that came before a handshake must not count after it.
    mutating func clear() {
        pending = []
        searched = 0
    }
}
