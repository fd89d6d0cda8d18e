/// Finds the code in a text, as a person would.
enum CodeFinder {
    /// The longest word of 4 to 12 letters and digits that has a digit. Characters that are spoken one by one, such as
    /// `4 8 2 9` or `4, 8, 2, 9.`, count as one word. Nil if there is none.
    static func code(in text: String) -> String? {
        var best = ""
        var run = ""
        func keep(_ word: String) {
            if (4...12).contains(word.utf8.count), word.contains(where: \.isNumber), word.utf8.count > best.utf8.count {
                best = word
            }
        }
        for word in text.split(whereSeparator: { !($0.isASCII && ($0.isLetter || $0.isNumber)) && !isPause($0) }) {
            for part in word.split(whereSeparator: isPause) {
                if part.count == 1 {
                    run += part
                    continue
                }
                keep(run)
                run = ""
                keep(String(part))
            }
            keep(run)
            run = ""
        }
        return best.isEmpty ? nil : best
    }

    /// What stands between characters that are spoken one by one.
    private static func isPause(_ character: Character) -> Bool {
        character == " " || character == "," || character == "." || character == "،"
    }
}
