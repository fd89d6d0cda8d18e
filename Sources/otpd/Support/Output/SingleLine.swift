/// Text made safe to print: one line, nothing in it that moves a cursor, rings a bell or reorders what is around it.
enum SingleLine {
    /// The text with control characters, line separators and invisible characters (direction marks among them) written
    /// as escapes: `\n`, `\r`, `\t`, `\u{1B}`. A backslash stays as it is, unless the text is to be quoted.
    static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: mustEscape) else { return text }
        var result = ""
        for scalar in text.unicodeScalars { append(scalar, to: &result) }
        return result
    }

    /// The escaped text between double quotes, with `"` and `\` escaped, so that it can be told apart from its
    /// surroundings and read back.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result.unicodeScalars.append("\\") }
            append(scalar, to: &result)
        }
        return result + "\""
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where mustEscape(scalar): result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        default: result.unicodeScalars.append(scalar)
        }
    }

    /// Whether a scalar must not reach a terminal or a log as it is.
    static func mustEscape(_ scalar: Unicode.Scalar) -> Bool {
        // The common case first: the rest of this runs for what is not plain ASCII.
        if scalar.value >= 0x20 && scalar.value < 0x7F { return false }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return true
        // The zero-width joiners hold Arabic, Persian and Indic words together and move nothing.
        case .format: return scalar.value != 0x200C && scalar.value != 0x200D
        default:
            // Fillers that take no room, but not what chooses the form of the character before it.
            return scalar.properties.isDefaultIgnorableCodePoint && !scalar.properties.isVariationSelector
        }
    }
}
