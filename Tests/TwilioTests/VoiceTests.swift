import OTP
import Testing

@testable import Twilio

struct VoiceLanguageTests {
    /// Twilio's languages, and the letters of Google's standard voices in each, from its helper library for Node.js
    /// (`SayLanguage` and `SayVoice`).
    static let known: [String: String] = [
        "af-ZA": "A", "am-ET": "AB", "ar-XA": "ABCD", "bg-BG": "AB", "bn-IN": "ABCD", "ca-ES": "AB", "cmn-CN": "ABCD",
        "cmn-TW": "ABC", "cs-CZ": "AB", "da-DK": "ACDEFG", "de-DE": "ABCDEFGH", "el-GR": "AB", "en-AU": "ABCD",
        "en-GB": "ABCDFNO", "en-IN": "ABCDEF", "en-US": "ABCDEFGHIJ", "es-ES": "ABCDEFGH", "es-US": "ABC",
        "fi-FI": "AB", "fil-PH": "ABCD", "fr-CA": "ABCD", "fr-FR": "ABCDEFG", "gu-IN": "ABCD", "he-IL": "ABCD",
        "hi-IN": "ABCDEF", "hu-HU": "AB", "id-ID": "ABCD", "is-IS": "AB", "it-IT": "ABCDEF", "ja-JP": "ABCD",
        "kn-IN": "ABCD", "ko-KR": "ABCD", "lv-LV": "AB", "ml-IN": "ABCD", "mr-IN": "ABC", "ms-MY": "ABCD",
        "nb-NO": "ABCDEFG", "nl-BE": "ABCD", "nl-NL": "ABCDEFG", "pa-IN": "ABCD", "pl-PL": "ABCDEFG",
        "pt-BR": "ABCDE", "pt-PT": "ABCDEF", "ro-RO": "AB", "ru-RU": "ABCDE", "sk-SK": "AB", "sr-RS": "A",
        "sv-SE": "ABCDEFG", "ta-IN": "ABCD", "te-IN": "ABCD", "th-TH": "A", "tr-TR": "ABCDE", "uk-UA": "A",
        "vi-VN": "ABCD", "yue-HK": "ABCD",
    ]
    /// Languages whose tag at Twilio does not begin with the tag of the locale.
    static let otherTags = ["zh": "cmn", "zh-hk": "yue", "iw": "he", "in": "id", "no": "nb", "nn": "nb", "tl": "fil"]

    /// A voice that does not know the language makes a silent call.
    @Test func everyPairIsOneOfTwilios() {
        for (locale, voice) in VoiceLanguages.table {
            let letters = Self.known[voice.language]
            #expect(letters != nil, "\(voice.language)")
            let isKnown = letters?.contains { voice.name == "Google.\(voice.language)-Standard-\($0)" }
            #expect(isKnown == true, "\(voice.name) with \(voice.language)")
            let language = String(locale.prefix { $0 != "-" })
            let expected = Self.otherTags[locale] ?? Self.otherTags[language] ?? language
            #expect(voice.language.hasPrefix("\(expected)-"), "\(locale) is spoken as \(voice.language)")
            #expect(locale == locale.lowercased())
        }
        #expect(VoiceLanguages.table.count > 60)
    }

    @Test(
        arguments: [
            ("ar", "ar-XA"), ("ar-SA", "ar-XA"), ("AR_eg", "ar-XA"), ("en", "en-US"), ("en-GB", "en-GB"),
            ("en-ZA", "en-US"), ("pt", "pt-PT"), ("pt_BR", "pt-BR"), ("zh-Hant-TW", "cmn-TW"), ("zh-Hans", "cmn-CN"),
            ("zh-HK", "yue-HK"), ("es-MX", "es-US"), ("es", "es-ES"), ("nb-NO", "nb-NO"), ("arz", nil), ("ur", nil),
            ("xx", nil), ("", nil), ("-", nil), ("english", nil),
        ] as [(String, String?)])
    func locales(_ locale: String, _ language: String?) {
        #expect(VoiceLanguages.voice(for: locale)?.language == language)
    }
}

struct CallWordsTests {
    func said(_ words: CallWords) -> String {
        var text: [UInt8] = []
        words.template.render(into: &text, app: Array("Mgask".utf8), code: try! Code("1234"), minutes: 5)
        return String(decoding: text, as: UTF8.self)
    }

    @Test func builtInWords() throws {
        #expect(said(CallWords(locale: "en-GB", callText: nil)) == "Hello. Your Mgask code is: 1234")
        #expect(CallWords(locale: "en-GB", callText: nil).voice.language == "en-GB")
        let arabic = CallWords(locale: "ar_SA", callText: nil)
        #expect(arabic.voice.language == "ar-XA")
        #expect(said(arabic).contains("رمز التحقق") && said(arabic).hasSuffix("1234"))
        // Neither German words nor German spoken by an English voice.
        for locale in ["de", "ur", "", "xx-YY"] {
            let other = CallWords(locale: locale, callText: nil)
            #expect(other.voice.language == "en-US" && said(other).hasPrefix("Hello."))
        }
        for template in CallWords.builtIn.values {
            var last: Template.TextPart?
            template.forEachPart { last = $0 }
            #expect(last == .placeholder(.code), "no mark follows the code")
        }
    }

    @Test func ownWords() throws {
        let text = try Template(callText: "Ihr Code: {code}")
        let german = CallWords(locale: "de-AT", callText: text)
        #expect(german.voice.language == "de-DE" && said(german) == "Ihr Code: 1234")
        // Twilio has no Urdu voice, so English words replace the text.
        let urdu = CallWords(locale: "ur", callText: try Template(callText: "آپ کا کوڈ {code}"))
        #expect(urdu.voice.language == "en-US" && said(urdu).hasPrefix("Hello."))
    }
}

struct TwiMLTests {
    static let head = #"<?xml version="1.0" encoding="UTF-8"?><Response><Pause length="1"/>"#
    static let gap = #"<break time="500ms"/>"#

    func twiml(_ text: String?, locale: String = "en", app: String = "Mgask", code: String = "482") throws -> String {
        var buffer: [UInt8] = Array("before ".utf8)
        TwiML.write(
            CallWords(locale: locale, callText: try text.map { try Template(callText: $0) }), app: Array(app.utf8),
            code: try Code(code), minutes: 5, into: &buffer)
        let written = String(decoding: buffer, as: UTF8.self)
        #expect(written.hasPrefix("before "))
        return String(written.dropFirst(7))
    }

    @Test func theWholeDocument() throws {
        let gap = Self.gap
        #expect(
            try twiml(nil) == Self.head + #"<Say language="en-US" voice="Google.en-US-Standard-C" loop="3">"#
                + "Hello. Your Mgask code is: 4\(gap)8\(gap)2\(gap)" + #"<break time="1s"/></Say></Response>"#)
        #expect(throws: Template.Problem.noSpokenCode) { try twiml("{minutes}") }
        #expect(try twiml("{code}, {minutes}").contains(", 5" + #"<break time="1s"/>"#))
    }

    /// No two digits stand together, and nothing that a voice could read as a part of a number stands at a digit: not
    /// `482`, not `4,8`, not `4.` (in German "fourth").
    @Test func eachDigitStandsAlone() throws {
        let said = try twiml("{code}. Noch einmal: {code}", locale: "de", code: "0482")
        let code = ["0", "4", "8", "2"].map { $0 + Self.gap }.joined()
        #expect(said.contains(#"loop="3">"# + code + ". Noch einmal: " + code))
    }

    /// A letter is spelt. A lone `A` would be read as a word.
    @Test func lettersAreSpelt() throws {
        func spelt(_ letter: String) -> String {
            "<say-as interpret-as=\"characters\">\(letter)</say-as>\(Self.gap)"
        }
        #expect(try twiml("{code}", code: "A7b").contains(#"loop="3">"# + spelt("A") + "7\(Self.gap)" + spelt("b")))
        #expect(try twiml("{code}", code: "<&").contains(spelt("&lt;") + spelt("&amp;")))
    }

    /// An unescaped character makes Twilio refuse the document as a whole (error 12100), and the user hears an error.
    @Test(arguments: [
        ("A & B", "A &amp; B"), ("<Play>", "&lt;Play&gt;"), ("it's \"x\"", "it's \"x\""), ("a\u{0}\u{B}b\n", "a  b "),
        ("&amp;", "&amp;amp;"), ("]]>", "]]&gt;"), ("مجسك 😀’", "مجسك 😀’"),
    ])
    func wordsAreEscaped(_ app: String, _ written: String) throws {
        #expect(try twiml("{app}: {code}", app: app).contains(#"loop="3">"# + written + ": 4"))
        if !app.contains("\u{0}") {
            #expect(try twiml("\(app): {code}").contains(#"loop="3">"# + written + ": 4"))
        }
    }

    /// The longest code, all of letters, fits with the built-in words and a long name.
    @Test func lengths() throws {
        let longest = try twiml(nil, locale: "ar", app: String(repeating: "م", count: 60), code: "ABCDEFGHIJKLMNOP")
        #expect(TwiML.fits(utf8: Array(longest.utf8)))
        let limit = TwiML.limit
        #expect(TwiML.fits(utf8: Array(repeating: UInt8(ascii: "x"), count: limit)))
        #expect(!TwiML.fits(utf8: Array(repeating: UInt8(ascii: "x"), count: limit + 1)))
        #expect(TwiML.fits(utf8: Array(String(repeating: "م", count: limit).utf8)), "characters count, not bytes")
        #expect(!TwiML.fits(utf8: Array(String(repeating: "😀", count: limit / 2 + 1).utf8)))
    }
}
