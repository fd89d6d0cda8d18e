/// A locale as HTML names it, and its direction.
struct Language {
    /// Such as `ar` or `pt-BR`; empty if the locale is none.
    let tag: [UInt8]
    let isRightToLeft: Bool

    /// The languages that are written from right to left.
    private static let rightToLeft: Set<String> = ["ar", "fa", "he", "iw", "ur"]

    init(_ locale: String) {
        let bytes = locale.utf8.prefix(35).map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 }
        let isTag = bytes.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"): true
            default: false
            }
        }
        tag = isTag ? bytes : []
        let language = String(decoding: tag.prefix { $0 != UInt8(ascii: "-") }, as: UTF8.self).lowercased()
        isRightToLeft = Self.rightToLeft.contains(language)
    }
}

/// The lines of a text with any line breaks. Controls are left out.
private struct TextLines {
    enum Element {
        case byte(UInt8)
        case lineBreak
    }

    private var index = 0

    mutating func next(_ text: Span<UInt8>) -> Element? {
        while index < text.count {
            let byte = text[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\r"):
                if index < text.count, text[index] == UInt8(ascii: "\n") { index += 1 }
                return .lineBreak
            case UInt8(ascii: "\n"): return .lineBreak
            case UInt8(ascii: "\t"), 0x20...0x7E, 0x80...: return .byte(byte)
            default: continue
            }
        }
        return nil
    }
}

/// The part with the plain text.
enum PlainPart {
    static func write(_ text: Span<UInt8>, into buffer: inout [UInt8]) {
        var (lines, code) = (TextLines(), QuotedPrintable())
        var isLineOpen = false
        while let element = lines.next(text) {
            switch element {
            case .byte(let byte): code.put(byte, into: &buffer)
            case .lineBreak: code.endLine(into: &buffer)
            }
            isLineOpen = if case .byte = element { true } else { false }
        }
        if isLineOpen { code.endLine(into: &buffer) }
    }
}

/// The part with the text as HTML: a paragraph for each stretch between empty lines.
enum HTMLPart {
    static func write(_ text: Span<UInt8>, _ language: Language, into buffer: inout [UInt8]) {
        var code = QuotedPrintable()
        code.put("<!DOCTYPE html>", into: &buffer)
        code.endLine(into: &buffer)
        code.put("<html", into: &buffer)
        if !language.tag.isEmpty {
            code.put(" lang=\"", into: &buffer)
            for byte in language.tag { code.put(byte, into: &buffer) }
            code.put("\"", into: &buffer)
        }
        if language.isRightToLeft { code.put(" dir=\"rtl\"", into: &buffer) }
        code.put("><head><meta charset=\"utf-8\"></head><body>", into: &buffer)
        code.endLine(into: &buffer)
        writeParagraphs(text, &code, into: &buffer)
        code.put("</body></html>", into: &buffer)
        code.endLine(into: &buffer)
    }

    private static func writeParagraphs(
        _ text: Span<UInt8>, _ code: inout QuotedPrintable, into buffer: inout [UInt8]
    ) {
        var lines = TextLines()
        var isOpen = false
        var breaks = 0
        while let element = lines.next(text) {
            guard case .byte(let byte) = element else {
                breaks += 1
                continue
            }
            if isOpen, breaks > 1 {
                code.put("</p>", into: &buffer)
                code.endLine(into: &buffer)
                isOpen = false
            } else if isOpen, breaks == 1 {
                code.put("<br>", into: &buffer)
                code.endLine(into: &buffer)
            }
            if !isOpen { code.put("<p>", into: &buffer) }
            (isOpen, breaks) = (true, 0)
            switch byte {
            case UInt8(ascii: "&"): code.put("&amp;", into: &buffer)
            case UInt8(ascii: "<"): code.put("&lt;", into: &buffer)
            case UInt8(ascii: ">"): code.put("&gt;", into: &buffer)
            case UInt8(ascii: "\""): code.put("&quot;", into: &buffer)
            case UInt8(ascii: "'"): code.put("&#39;", into: &buffer)
            default: code.put(byte, into: &buffer)
            }
        }
        guard isOpen else { return }
        code.put("</p>", into: &buffer)
        code.endLine(into: &buffer)
    }
}
