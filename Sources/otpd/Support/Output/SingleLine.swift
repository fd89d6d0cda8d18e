/// Makes text safe to print: one line, without characters that move the cursor, ring the bell or reorder the text.
enum SingleLine {
    /// The text with control characters, line separators and invisible characters (direction marks among them) written
    /// as escapes: `\n`, `\r`, `\t`, `\u{1B}`. A backslash stays as it is, unless the text is to be quoted.
    static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: mustEscape) else { return text }
        var result = ""
        for scalar in text.unicodeScalars { append(scalar, to: &result) }
        return result
    }

    /// The escaped text between double quotes. `"` and `\` are escaped too, so that a program can read it back.
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

    /// Whether a scalar must be escaped before it reaches a terminal or a log.
    static func mustEscape(_ scalar: Unicode.Scalar) -> Bool {
        // Printable ASCII is the common case and needs no look at the character's properties.
        if scalar.value >= 0x20 && scalar.value < 0x7F { return false }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return true
        // Arabic, Persian and Indic words need the zero-width joiners, and these move nothing.
        case .format: return scalar.value != 0x200C && scalar.value != 0x200D
        default:
            // Invisible fillers are escaped. Variation selectors choose the form of the character before them.
            return scalar.properties.isDefaultIgnorableCodePoint && !scalar.properties.isVariationSelector
        }
    }
}
