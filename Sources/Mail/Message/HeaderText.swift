/// Writes the free text of a header: as it is if it is short and plain, otherwise as encoded words (RFC 2047).
///
/// Whatever the text has in it, one header comes out: line breaks, NUL and all other invisible characters become
/// spaces first.
enum HeaderText {
    /// The most characters of a line with encoded words (RFC 2047 2).
    private static let longestLine = 76
    /// The longest text that is written as it is, so that the header is one line.
    private static let longestPlain = 64

    /// Appends the text of an unstructured header, such as a subject, in UTF-8. `column` characters are on its line.
    static func append(_ text: Span<UInt8>, to buffer: inout [UInt8], column: Int) {
        append(text, to: &buffer, column: column, isQuoted: false)
    }

    /// Appends the name before an address: a quoted string, or encoded words.
    static func append(name: String, to buffer: inout [UInt8], column: Int) {
        append(name.utf8.span, to: &buffer, column: column, isQuoted: true)
    }

    private static func append(_ text: Span<UInt8>, to buffer: inout [UInt8], column: Int, isQuoted: Bool) {
        var clean: [UInt8] = []
        // The largest possible size, because a growing array would leave a copy of a code behind.
        clean.reserveCapacity(text.count + 1)
        defer { wipe(&clean) }
        var isEncoded = false
        Self.clean(text, into: &clean, &isEncoded)
        guard isEncoded || clean.count > longestPlain else {
            if isQuoted { buffer.append(UInt8(ascii: "\"")) }
            for byte in clean {
                if isQuoted, byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                    buffer.append(UInt8(ascii: "\\"))
                }
                buffer.append(byte)
            }
            if isQuoted { buffer.append(UInt8(ascii: "\"")) }
            return
        }
        var start = 0
        while start < clean.count {
            let room = longestLine - (start == 0 ? column : 1) - "=?UTF-8?B??=".utf8.count
            var end = min(start + room / 4 * 3, clean.count)
            // A word has whole characters (RFC 2047 5).
            while end < clean.count, end > start + 1, clean[end] & 0xC0 == 0x80 { end -= 1 }
            buffer.append(contentsOf: (start == 0 ? "" : "\r\n ").utf8)
            buffer.append(contentsOf: "=?UTF-8?B?".utf8)
            Base64.append(clean[start..<end], to: &buffer)
            buffer.append(contentsOf: "?=".utf8)
            start = end
        }
    }

    /// Replaces each run of white space and invisible characters by one space, and trims both ends. `isEncoded`
    /// tells whether the result must be encoded.
    private static func clean(_ text: Span<UInt8>, into clean: inout [UInt8], _ isEncoded: inout Bool) {
        var isSpace = true
        var index = 0
        while index < text.count {
            let (scalar, count) = UTF8Scalar.read(text, at: index)
            if let scalar, !UTF8Scalar.isInvisible(scalar) {
                isSpace = false
                if !scalar.isASCII { isEncoded = true }
                // It would be read as an encoded word.
                if scalar == "?", clean.last == UInt8(ascii: "=") { isEncoded = true }
                for offset in 0..<count { clean.append(text[index + offset]) }
            } else if !isSpace {
                isSpace = true
                clean.append(UInt8(ascii: " "))
            }
            index += count
        }
        if clean.last == UInt8(ascii: " ") { clean.removeLast() }
    }
}

/// Reads UTF-8 without making strings, because the text may hold a code.
enum UTF8Scalar {
    /// The scalar at `index` and its length in bytes; nil and 1 if the bytes are not valid there.
    static func read(_ text: Span<UInt8>, at index: Int) -> (Unicode.Scalar?, Int) {
        let first = text[index]
        let (count, least): (Int, UInt32)
        switch first {
        case ..<0x80: return (Unicode.Scalar(first), 1)
        case 0xC2...0xDF: (count, least) = (2, 0x80)
        case 0xE0...0xEF: (count, least) = (3, 0x800)
        case 0xF0...0xF4: (count, least) = (4, 0x10000)
        default: return (nil, 1)
        }
        guard index + count <= text.count else { return (nil, 1) }
        var value = UInt32(first) & (0xFF >> UInt32(count + 1))
        for offset in 1..<count {
            guard text[index + offset] & 0xC0 == 0x80 else { return (nil, 1) }
            value = value << 6 | UInt32(text[index + offset] & 0x3F)
        }
        guard value >= least, let scalar = Unicode.Scalar(value) else { return (nil, 1) }
        return (scalar, count)
    }

    /// Whether the scalar is white space, a control, or otherwise invisible on its own. Joiners are kept, since Persian
    /// and many emoji need them.
    static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.value >= 0x80 else { return scalar.value <= 0x20 || scalar.value == 0x7F }
        if scalar == "\u{200C}" || scalar == "\u{200D}" { return false }
        return switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator: true
        default: false
        }
    }
}

/// Base64 (RFC 4648 4).
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func append(_ bytes: ArraySlice<UInt8>, to buffer: inout [UInt8]) {
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let count = min(3, bytes.endIndex - index)
            var group = UInt32(bytes[index]) << 16
            if count > 1 { group |= UInt32(bytes[index + 1]) << 8 }
            if count > 2 { group |= UInt32(bytes[index + 2]) }
            for digit in 0..<4 {
                let isUsed = digit <= count
                buffer.append(isUsed ? digits[Int(group >> (18 - 6 * UInt32(digit)) & 63)] : UInt8(ascii: "="))
            }
            index += count
        }
    }
}
