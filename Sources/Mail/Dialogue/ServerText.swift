/// A mail server's words, made safe for a log.
enum ServerText {
    /// The most characters that are kept.
    static let longest = 300

    /// The lines as one, without enhanced codes. A word that holds an address is hidden, because a recipient's address
    /// must not be in a log.
    static func read(_ reply: SMTPReply) -> String {
        var words: [String] = []
        var length = 0
        for line in reply.lines {
            let hasCode = EnhancedStatus(line) != nil
            let text = String(decoding: line, as: UTF8.self)
            for word in text.split(whereSeparator: { isSpace($0) }).dropFirst(hasCode ? 1 : 0) {
                guard length < longest else { return String(words.joined(separator: " ").prefix(longest)) + "…" }
                let clean = word.contains(where: { isAt($0) }) ? "…" : String(word)
                words.append(clean)
                length += clean.count + 1
            }
        }
        return words.joined(separator: " ")
    }

    private static func isSpace(_ character: Character) -> Bool {
        character.unicodeScalars.contains {
            switch $0.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator: true
            default: false
            }
        }
    }

    private static func isAt(_ character: Character) -> Bool {
        character.unicodeScalars.contains { $0 == "@" || $0 == "＠" || $0 == "﹫" }
    }
}
