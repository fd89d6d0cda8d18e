/// Fits text into the columns of a terminal.
enum TextLayout {
    /// The text in at most `width` columns. A cut text ends in `…`.
    static func fit(_ text: String, _ width: Int) -> String {
        guard DisplayWidth.columns(text) > width else { return text }
        guard width > 0 else { return "" }
        var (result, columns) = ("", 0)
        for character in text {
            let next = DisplayWidth.columns(character)
            if columns + next > width - 1 { break }
            result.append(character)
            columns += next
        }
        while result.last == " " { result.removeLast() }
        return result + "…"
    }

    /// The text in exactly `width` columns: padded with spaces, or cut.
    static func pad(_ text: String, _ width: Int) -> String {
        let text = fit(text, width)
        return text + String(repeating: " ", count: max(0, width - DisplayWidth.columns(text)))
    }

    /// The text in lines of at most `width` columns, at least one line. Lines break at spaces, and within a word only
    /// if the word is longer than a line.
    static func wrap(_ text: String, _ width: Int) -> [String] {
        let width = max(2, width)  // A wide character takes two columns.
        var lines: [String] = []
        var (line, columns) = ("", 0)
        for word in text.split(separator: " ") {
            let length = DisplayWidth.columns(String(word))
            if columns > 0, columns + 1 + length <= width {
                line += " " + word
                columns += 1 + length
                continue
            }
            if columns > 0 { lines.append(line) }
            (line, columns) = ("", 0)
            for character in word {
                let next = DisplayWidth.columns(character)
                if columns + next > width {
                    lines.append(line)
                    (line, columns) = ("", 0)
                }
                line.append(character)
                columns += next
            }
        }
        if columns > 0 || lines.isEmpty { lines.append(line) }
        return lines
    }

    /// The first `count` lines. The last of them ends in `…` where lines are left out.
    static func first(_ count: Int, of lines: [String], width: Int) -> [String] {
        guard lines.count > count, count > 0 else { return Array(lines.prefix(count)) }
        var kept = Array(lines.prefix(count))
        kept[count - 1] = fit(kept[count - 1] + " …", width)
        return kept
    }
}

/// A line of a terminal: parts of text, each in a style.
struct StyledLine: Equatable, Sendable {
    enum Style: Sendable { case plain, bold, dim, good, warning, bad }

    private(set) var parts: [(text: String, style: Style)] = []

    init() {}
    init(_ text: String, _ style: Style = .plain) { append(text, style) }

    mutating func append(_ text: String, _ style: Style = .plain) {
        if !text.isEmpty { parts.append((text, style)) }
    }

    /// The line in one style.
    func all(_ style: Style) -> StyledLine { StyledLine(plain, style) }

    var plain: String { parts.reduce("") { $0 + $1.text } }
    var columns: Int { DisplayWidth.columns(plain) }

    /// The line in at most `width` columns. A cut line ends in `…`.
    func fitted(_ width: Int) -> StyledLine {
        guard columns > width else { return self }
        var (line, rest) = (StyledLine(), width)
        for part in parts {
            let length = DisplayWidth.columns(part.text)
            // One column is kept for the ellipsis.
            if length < rest {
                line.append(part.text, part.style)
                rest -= length
            } else {
                line.append(TextLayout.fit(part.text + "  ", rest), part.style)
                break
            }
        }
        return line
    }

    /// The line with SGR sequences, or without them and without spaces at the end.
    func text(colour: Bool) -> String {
        guard colour else {
            var text = plain
            while text.last == " " { text.removeLast() }
            return text
        }
        return parts.reduce("") { text, part in
            let code =
                switch part.style {
                case .plain: ""
                case .bold: "1"
                case .dim: "2"
                case .good: "32"
                case .warning: "33"
                case .bad: "1;31"
                }
            return text + (code.isEmpty ? part.text : "\u{1B}[\(code)m\(part.text)\u{1B}[0m")
        }
    }

    static func == (a: StyledLine, b: StyledLine) -> Bool {
        a.parts.elementsEqual(b.parts) { $0.text == $1.text && $0.style == $1.style }
    }
}
