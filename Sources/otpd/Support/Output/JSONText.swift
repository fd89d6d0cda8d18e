/// Writes strings as JSON and recognises JSON numbers, without Foundation.
enum JSONText {
    /// Appends a string with its quotes. It escapes `"`, `\` and everything below U+0020 (RFC 8259), and every
    /// character that must not reach a terminal: see `SingleLine.mustEscape`.
    static func append(_ text: String, to json: inout String) {
        json += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": json += "\\\""
            case "\\": json += "\\\\"
            case "\n": json += "\\n"
            case "\r": json += "\\r"
            case "\t": json += "\\t"
            case _ where SingleLine.mustEscape(scalar):
                // A character beyond the first plane becomes two surrogates.
                for unit in UTF16.encode(scalar) ?? .init() {
                    let hex = String(unit, radix: 16)
                    json += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                }
            default: json.unicodeScalars.append(scalar)
            }
        }
        json += "\""
    }

    /// Whether the text is a JSON number: `-1.5e3` is, and `+1`, `.5`, `01` and `NaN` are not.
    static func isNumber(_ text: String) -> Bool {
        var rest = Substring(text)
        func digits() -> Int {
            let count = rest.utf8.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == "-" { rest.removeFirst() }
        let leadsWithZero = rest.first == "0"
        let whole = digits()
        guard whole > 0, !(leadsWithZero && whole > 1) else { return false }
        if rest.first == "." {
            rest.removeFirst()
            guard digits() > 0 else { return false }
        }
        if rest.first == "e" || rest.first == "E" {
            rest.removeFirst()
            if rest.first == "+" || rest.first == "-" { rest.removeFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }
}
