/// A voice of Twilio's text-to-speech, with the language that it speaks.
public struct Voice: Sendable, Hashable {
    /// As the attribute `language` of `<Say>` names it: `ar-XA`.
    public let language: String
    /// As the attribute `voice` names it: `Google.ar-XA-Standard-A`.
    public let name: String

    /// One of Google's standard voices. Its name contains its language, so no wrong pair can be written.
    fileprivate init(_ language: String, _ letter: Character) {
        self.language = language
        name = "Google.\(language)-Standard-\(letter)"
    }
}

/// The voice for each locale.
///
/// Twilio speaks a text only if the voice knows the language: a wrong pair makes a silent call. The languages and voices
/// are those of Twilio's helper libraries (`SayLanguage` and `SayVoice` of twilio-node). Standard voices cost least, and
/// take the pauses that `TwiML` writes.
public enum VoiceLanguages {
    /// The voice of a call for which there are no words in a language with a voice.
    static let english = Voice("en-US", "C")

    /// The voice for a locale such as `ar`, `ar-SA` or `pt_BR`; nil if Twilio does not speak the language.
    ///
    /// The longest entry wins that the locale begins with: `zh-Hant-TW` is spoken as `zh-Hant`, and `ar-SA` as `ar`.
    public static func voice(for locale: String) -> Voice? {
        var tag = locale.lowercased().split(whereSeparator: { $0 == "-" || $0 == "_" })[...]
        while !tag.isEmpty {
            if let voice = table[tag.joined(separator: "-")] { return voice }
            tag.removeLast()
        }
        return nil
    }

    /// By locale, in lower case. Languages with two codes have both.
    static let table: [String: Voice] = [
        "af": Voice("af-ZA", "A"),
        "am": Voice("am-ET", "A"),
        "ar": Voice("ar-XA", "A"),
        "bg": Voice("bg-BG", "B"),
        "bn": Voice("bn-IN", "A"),
        "ca": Voice("ca-ES", "B"),
        "cs": Voice("cs-CZ", "B"),
        "da": Voice("da-DK", "F"),
        "de": Voice("de-DE", "G"),
        "el": Voice("el-GR", "B"),
        "en": english,
        "en-au": Voice("en-AU", "A"),
        "en-gb": Voice("en-GB", "A"),
        "en-in": Voice("en-IN", "A"),
        "es": Voice("es-ES", "F"),
        "es-419": Voice("es-US", "A"),
        "es-ar": Voice("es-US", "A"),
        "es-cl": Voice("es-US", "A"),
        "es-co": Voice("es-US", "A"),
        "es-mx": Voice("es-US", "A"),
        "es-pe": Voice("es-US", "A"),
        "es-us": Voice("es-US", "A"),
        "fi": Voice("fi-FI", "B"),
        "fil": Voice("fil-PH", "A"),
        "tl": Voice("fil-PH", "A"),
        "fr": Voice("fr-FR", "F"),
        "fr-ca": Voice("fr-CA", "A"),
        "gu": Voice("gu-IN", "A"),
        "he": Voice("he-IL", "A"),
        "iw": Voice("he-IL", "A"),
        "hi": Voice("hi-IN", "A"),
        "hu": Voice("hu-HU", "B"),
        "id": Voice("id-ID", "A"),
        "in": Voice("id-ID", "A"),
        "is": Voice("is-IS", "B"),
        "it": Voice("it-IT", "E"),
        "ja": Voice("ja-JP", "A"),
        "kn": Voice("kn-IN", "A"),
        "ko": Voice("ko-KR", "A"),
        "lv": Voice("lv-LV", "B"),
        "ml": Voice("ml-IN", "A"),
        "mr": Voice("mr-IN", "A"),
        "ms": Voice("ms-MY", "A"),
        "nb": Voice("nb-NO", "F"),
        "nn": Voice("nb-NO", "F"),
        "no": Voice("nb-NO", "F"),
        "nl": Voice("nl-NL", "F"),
        "nl-be": Voice("nl-BE", "C"),
        "pa": Voice("pa-IN", "A"),
        "pl": Voice("pl-PL", "F"),
        "pt": Voice("pt-PT", "E"),
        "pt-br": Voice("pt-BR", "A"),
        "ro": Voice("ro-RO", "B"),
        "ru": Voice("ru-RU", "A"),
        "sk": Voice("sk-SK", "B"),
        "sr": Voice("sr-RS", "A"),
        "sv": Voice("sv-SE", "F"),
        "ta": Voice("ta-IN", "A"),
        "te": Voice("te-IN", "A"),
        "th": Voice("th-TH", "A"),
        "tr": Voice("tr-TR", "A"),
        "uk": Voice("uk-UA", "A"),
        "vi": Voice("vi-VN", "A"),
        "yue": Voice("yue-HK", "A"),
        "zh": Voice("cmn-CN", "A"),
        "zh-hant": Voice("cmn-TW", "A"),
        "zh-hk": Voice("yue-HK", "A"),
        "zh-tw": Voice("cmn-TW", "A"),
    ]
}
