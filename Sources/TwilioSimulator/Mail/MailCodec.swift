/// The encodings of mails: base64, quoted-printable, and encoded words in headers (RFC 2045, RFC 2047).
enum MailCodec {
    /// Decodes a body. An unknown encoding leaves it as it is.
    static func decode(_ body: ArraySlice<UInt8>, encoding: String) -> [UInt8] {
        switch encoding.lowercased() {
        case "base64": base64(body)
        case "quoted-printable": quotedPrintable(body)
        default: Array(body)
        }
    }

    /// Bytes outside the alphabet do not count, as in a body with lines.
    static func base64(_ text: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text {
            guard let value = value(byte) else { continue }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return output
    }

    /// A broken escape stands for itself.
    static func quotedPrintable(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "=") else {
                output.append(byte)
                continue
            }
            if rest.starts(with: "\r\n".utf8) {
                rest = rest.dropFirst(2)
            } else if rest.first == UInt8(ascii: "\n") {
                rest = rest.dropFirst()
            } else if let high = rest.first.flatMap(Hex.value), let low = rest.dropFirst().first.flatMap(Hex.value) {
                output.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                output.append(byte)
            }
        }
        return output
    }

    /// A header with its encoded words decoded: `=?utf-8?B?…?=`. Whitespace between two of them is no part of the text.
    static func header(_ text: String) -> String {
        var bytes: [UInt8] = []
        var wasEncoded = false
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            let decoded = encodedWord(word)
            if !bytes.isEmpty, !(wasEncoded && decoded != nil) { bytes.append(UInt8(ascii: " ")) }
            bytes.append(contentsOf: decoded ?? Array(word.utf8))
            wasEncoded = decoded != nil
        }
        return String(utf8: bytes)
    }

    private static func encodedWord(_ word: Substring) -> [UInt8]? {
        guard word.hasPrefix("=?"), word.hasSuffix("?="), word.utf8.count > 4 else { return nil }
        let parts = word.dropFirst(2).dropLast(2).split(separator: "?", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        switch parts[1].lowercased() {
        case "b": return base64(parts[2].utf8)
        case "q":
            let spaced = parts[2].utf8.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: " ") : $0 }
            return quotedPrintable(spaced[...])
        default: return nil
        }
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
