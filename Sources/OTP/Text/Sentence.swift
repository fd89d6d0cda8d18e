/// Joins the words of other programs into whole sentences.
public enum Sentence {
    /// The words as a sentence of their own: with a capital letter, unless they begin with a code word, and with a mark
    /// at the end.
    public static func whole(_ words: String) -> String {
        guard let first = words.first else { return words }
        let start = beginsWithCode(words) ? String(first) : first.uppercased()
        return ended(start + words.dropFirst())
    }

    /// The words with a full stop at the end, unless they already end with a mark that closes a sentence.
    public static func ended(_ words: String) -> String {
        var words = Substring(words)
        while let last = words.last, last.isWhitespace { words.removeLast() }
        guard let last = words.last(where: { !closers.contains($0) }) else { return String(words) }
        return marks.contains(last) ? String(words) : words + "."
    }

    /// Whether the first word is an identifier, an address or a program's name, whose spelling must not change:
    /// `otp.templates`, `127.0.0.1:5432`, `otpd`.
    static func beginsWithCode(_ words: String) -> Bool {
        var word = words.prefix { !$0.isWhitespace }
        while let last = word.last, last == ":" || last == "," || last == ";" || last == "." { word.removeLast() }
        return names.contains(String(word)) || !word.allSatisfy { $0.isLetter || $0 == "'" || $0 == "’" || $0 == "-" }
    }

    private static let marks: Set<Character> = [".", "?", "!", "…"]
    /// What may stand between a closing mark and the end.
    private static let closers: Set<Character> = ["\"", "”", ")"]
    private static let names: Set<String> = ["otpd", "libpq", "libcurl", "psql", "systemd"]
}
