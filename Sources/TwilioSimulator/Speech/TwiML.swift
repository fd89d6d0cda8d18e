/// The words of a call: what a person hears of a TwiML document.
///
/// It knows `Say`, `Pause`, `Hangup`, and the speech marks inside `Say`. Twilio reads the document only when the call is
/// answered, and then says that an application error has occurred. The simulator reads it at once and refuses the call,
/// so that a test sees the error.
struct TwiML: Equatable {
    /// Twilio's error code for a document.
    struct Invalid: Error, Equatable {
        var code: Int
    }

    /// The words, a line for each `Say`. Digits that are spelled have spaces between them: `4 8 2 9 1 3`.
    let words: String

    init(_ document: String, maxCharacters: Int = 4000) throws(Invalid) {
        guard document.utf16.count <= maxCharacters else { throw Invalid(code: 20001) }
        let parts: [XMLPart]
        do {
            parts = try XMLReader.parts(of: document)
        } catch {
            throw Invalid(code: 12100)
        }
        var reader = SpeechReader()
        for part in parts { try reader.read(part) }
        guard reader.sawResponse else { throw Invalid(code: 12100) }
        words = reader.spoken.joined(separator: "\n")
    }
}

/// Follows a TwiML document and gathers the words.
private struct SpeechReader {
    var spoken: [String] = []
    var sawResponse = false
    private var path: [String] = []
    private var loop = 1
    private var current = ""
    /// How many marks around the text spell it, one character at a time.
    private var spelling: [Bool] = []

    private static let spelled: Set<String> = ["digits", "characters", "spell-out", "telephone", "verbatim"]
    private static let marks: Set<String> = [
        "break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w",
    ]

    mutating func read(_ part: XMLPart) throws(TwiML.Invalid) {
        switch part {
        case .start(let name, let attributes): try begin(name, attributes)
        case .end(let name): try end(name)
        case .text(let text):
            guard path.contains("Say") else {
                guard text.trimmed.isEmpty else { throw TwiML.Invalid(code: 12100) }
                return
            }
            current += spelling.last == true ? Self.spell(text) : text
        }
    }

    private mutating func begin(_ name: String, _ attributes: [String: String]) throws(TwiML.Invalid) {
        switch path.count {
        case 0:
            guard name == "Response", !sawResponse else { throw TwiML.Invalid(code: 12100) }
            sawResponse = true
        case 1:
            guard ["Say", "Pause", "Hangup"].contains(name) else { throw TwiML.Invalid(code: 12200) }
            if name == "Say" { try beginSay(attributes) }
            if let length = attributes["length"], name == "Pause", Int(length).map({ $0 > 0 }) != true {
                throw TwiML.Invalid(code: 13610)
            }
        default:
            guard path[1] == "Say", Self.marks.contains(name) else { throw TwiML.Invalid(code: 12200) }
            if name == "break" { current += " " }
            spelling.append(
                name == "say-as"
                    ? Self.spelled.contains(attributes["interpret-as"] ?? "") : spelling.last ?? false)
        }
        path.append(name)
    }

    private mutating func beginSay(_ attributes: [String: String]) throws(TwiML.Invalid) {
        let (voice, language) = (attributes["voice"], attributes["language"])
        if let language, !Voices.isKnown(language: language) { throw TwiML.Invalid(code: 13511) }
        guard let speaks = Voices.speaks(voice: voice, language: language) else { throw TwiML.Invalid(code: 13512) }
        guard speaks else { throw TwiML.Invalid(code: 13520) }
        guard let loop = Int(attributes["loop"] ?? "1"), loop >= 0 else { throw TwiML.Invalid(code: 13510) }
        // 0 is until the person hangs up. Nobody listens longer than this.
        self.loop = loop == 0 ? 10 : min(loop, 10)
        current = ""
        spelling = []
    }

    private mutating func end(_ name: String) throws(TwiML.Invalid) {
        path.removeLast()
        if path.count > 1 { spelling.removeLast() }
        guard path.count == 1, name == "Say" else { return }
        let text = Self.tidied(current)
        guard !text.isEmpty else { throw TwiML.Invalid(code: 13520) }
        spoken += Array(repeating: text, count: loop)
    }

    private static func spell(_ text: String) -> String {
        text.filter { !$0.isWhitespace }.map(String.init).joined(separator: " ")
    }

    /// One space between words, and none before a mark.
    private static func tidied(_ text: String) -> String {
        var result = ""
        for word in text.split(whereSeparator: \.isWhitespace) {
            let isMark = word.allSatisfy { ".,;:!?،؛؟।".contains($0) }
            result += (result.isEmpty || isMark ? "" : " ") + word
        }
        return result
    }
}
