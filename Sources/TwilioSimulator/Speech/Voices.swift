/// Twilio's voices and the languages that they speak. Source: Twilio's page on text-to-speech.
///
/// This table is the simulator's own. otpd has another one, so that an error in one of them is found.
enum Voices {
    /// Whether that voice speaks that language. Nil for an unknown voice. No voice is `man`, and no language is the
    /// voice's own.
    static func speaks(voice: String?, language: String?) -> Bool? {
        let voice = voice ?? "man"
        if let languages = basic[voice] { return language.map { languages.contains($0.lowercased()) } ?? true }
        if voice.hasPrefix("Polly.") {
            let name = voice.dropFirst("Polly.".count)
            let speaker = name.prefix { $0 != "-" }
            guard ["", "-Neural", "-Generative"].contains(name.dropFirst(speaker.count)),
                let languages = polly[String(speaker)]
            else { return nil }
            return language.map { languages.contains($0) } ?? true
        }
        return speaksGoogle(voice, language)
    }

    /// Whether any voice speaks that language.
    static func isKnown(language: String) -> Bool {
        basic.values.contains { $0.contains(language.lowercased()) } || polly.values.contains { $0.contains(language) }
            || google.contains(language)
    }

    /// `Google.ar-XA-Wavenet-A`: the language, the kind and the name.
    private static func speaksGoogle(_ voice: String, _ language: String?) -> Bool? {
        guard voice.hasPrefix("Google.") else { return nil }
        let parts = voice.dropFirst("Google.".count).split(separator: "-")
        guard parts.count >= 4, kinds.contains(parts[2...].dropLast().joined(separator: "-")) else { return nil }
        let own = "\(parts[0])-\(parts[1])"
        guard google.contains(own) else { return nil }
        return language.map { $0 == own } ?? true
    }

    private static let kinds: Set<String> = [
        "Standard", "Wavenet", "Neural2", "Chirp3-HD", "News", "Studio", "Polyglot",
    ]

    private static let basic: [String: Set<String>] = [
        "man": ["en", "en-us", "en-gb", "es", "fr", "de", "it"],
        "woman": ["en", "en-us", "en-gb", "es", "fr", "de", "it"],
        "alice": [
            "da-dk", "de-de", "en-au", "en-ca", "en-gb", "en-in", "en-us", "ca-es", "es-es", "es-mx", "fi-fi", "fr-ca",
            "fr-fr", "it-it", "ja-jp", "ko-kr", "nb-no", "nl-nl", "pl-pl", "pt-br", "pt-pt", "ru-ru", "sv-se", "zh-cn",
            "zh-hk", "zh-tw",
        ],
    ]

    private static let polly: [String: Set<String>] = {
        let languages = [
            "arb": "Zeina", "ar-AE": "Hala Zayd", "ca-ES": "Arlet", "cs-CZ": "Jitka", "cmn-CN": "Zhiyu",
            "da-DK": "Mads Naja Sofie", "de-AT": "Hannah", "de-CH": "Sabrina", "de-DE": "Hans Marlene Vicki Daniel",
            "en-AU": "Nicole Russell Olivia", "en-GB": "Amy Brian Emma Arthur", "en-GB-WLS": "Geraint",
            "en-IE": "Niamh", "en-IN": "Aditi Raveena Kajal", "en-NZ": "Aria", "en-SG": "Jasmine",
            "en-US": "Ivy Joanna Joey Justin Kendra Kevin Kimberly Matthew Ruth Salli Stephen Danielle Gregory Patrick",
            "en-ZA": "Ayanda", "es-ES": "Conchita Enrique Lucia Sergio Raul Alba", "es-MX": "Mia Andres",
            "es-US": "Lupe Miguel Penelope Pedro", "fi-FI": "Suvi", "fr-BE": "Isabelle",
            "fr-CA": "Chantal Gabrielle Liam",
            "fr-FR": "Celine Lea Mathieu Remi", "hi-IN": "Aditi Kajal", "is-IS": "Dora Karl",
            "it-IT": "Bianca Carla Giorgio Adriano", "ja-JP": "Mizuki Takumi Kazuha Tomoko", "ko-KR": "Seoyeon Jihye",
            "nb-NO": "Liv Ida", "nl-BE": "Lisa", "nl-NL": "Lotte Ruben Laura", "pl-PL": "Ewa Jacek Jan Maja Ola",
            "pt-BR": "Camila Ricardo Vitoria Thiago", "pt-PT": "Cristiano Ines", "ro-RO": "Carmen",
            "ru-RU": "Maxim Tatyana", "sv-SE": "Astrid Elin", "tr-TR": "Filiz Burcu", "cy-GB": "Gwyneth",
            "yue-CN": "Hiujin",
        ]
        var table: [String: Set<String>] = [:]
        for (language, names) in languages {
            for name in names.split(separator: " ") { table[String(name), default: []].insert(language) }
        }
        return table
    }()

    private static let google: Set<String> = Set(
        """
        af-ZA ar-XA bg-BG bn-IN ca-ES cmn-CN cmn-TW cs-CZ da-DK de-DE el-GR en-AU en-GB en-IN en-US es-ES es-US et-EE \
        eu-ES fi-FI fil-PH fr-CA fr-FR gl-ES gu-IN he-IL hi-IN hr-HR hu-HU id-ID is-IS it-IT ja-JP kn-IN ko-KR lt-LT \
        lv-LV ml-IN mr-IN ms-MY nb-NO nl-BE nl-NL pa-IN pl-PL pt-BR pt-PT ro-RO ru-RU sk-SK sl-SI sr-RS sv-SE sw-KE \
        ta-IN te-IN th-TH tr-TR uk-UA ur-IN vi-VN yue-HK
        """.split(separator: " ").map(String.init))
}
