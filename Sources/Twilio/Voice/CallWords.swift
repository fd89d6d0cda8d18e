public import OTP

/// The words of a call, and the voice that speaks them.
///
/// The words are those of `call_text`, a column beside the message's text, with `{code}`, and with `{app}` and
/// `{minutes}` where wanted. A row without `call_text` gets built-in words in English or Arabic by its locale, and in
/// English for every other one. English words also replace a `call_text` in a language that Twilio does not speak,
/// because no voice could read it.
public struct CallWords: Sendable, Hashable {
    public let voice: Voice
    let template: Template

    /// The words for a text's locale. `callText` is the column, parsed; nil if it is null.
    public init(locale: String, callText: Template?) {
        if let callText, let voice = VoiceLanguages.voice(for: locale) {
            (self.voice, template) = (voice, callText)
            return
        }
        let language = locale.lowercased().prefix { $0 != "-" && $0 != "_" }
        if let template = Self.builtIn[String(language)], let voice = VoiceLanguages.voice(for: locale) {
            (self.voice, self.template) = (voice, template)
        } else {
            (voice, template) = (VoiceLanguages.english, Self.english)
        }
    }

    /// The code stands at the end, and no mark follows it: a German or Hungarian voice reads `4.` as "fourth".
    private static let english = parsed("Hello. Your {app} code is: {code}")
    /// By language.
    static let builtIn = [
        "en": english, "ar": parsed("مرحبًا. رمز التحقق الخاص بك في {app} هو: {code}"),
    ]

    private static func parsed(_ text: String) -> Template {
        guard let template = try? Template(callText: text) else { preconditionFailure("built-in words are invalid") }
        return template
    }
}
