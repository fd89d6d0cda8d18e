import FoundationEssentials

/// The content templates of the account: SID → text with `{{1}}`.
struct ContentTemplates: Sendable {
    fileprivate var texts: [String: String]

    /// Templates that every simulator has.
    static let standard = ContentTemplates(texts: [
        "HX00000000000000000000000000000001":
            "{{1}} is your verification code. For your security, do not share this code.",
        "HX00000000000000000000000000000002": "{{1}} هو رمز التحقق الخاص بك. للحفاظ على أمانك، لا تشارك هذا الرمز.",
        "HX00000000000000000000000000000003": "Your {{2}} code is {{1}}.",
    ])

    /// Adds `HX…=text`. False if that is not its form.
    mutating func add(_ option: String) -> Bool {
        guard let equals = option.firstIndex(of: "=") else { return false }
        let sid = String(option[..<equals])
        let text = String(option[option.index(after: equals)...])
        guard Self.isSID(sid), !text.isEmpty else { return false }
        texts[sid] = text
        return true
    }

    /// A message made from a template.
    struct Rendered: Equatable {
        var text: String
        /// Whether a placeholder has no value. WhatsApp then does not deliver the message.
        var isIncomplete: Bool
    }

    /// Twilio's error code for a request that is refused.
    struct Invalid: Error, Equatable {
        var code: Int
    }

    /// Fills in a template. `variables` is the JSON of `ContentVariables`; nil if it is not given.
    func render(_ sid: String, variables: [UInt8]?) throws(Invalid) -> Rendered {
        guard let text = texts[sid] else { throw Invalid(code: 21655) }
        var values: [String: String] = [:]
        if let variables {
            guard let object = try? JSONDecoder().decode([String: String].self, from: Data(variables)),
                object.allSatisfy({ !$0.key.isEmpty && Self.isUsable($0.value) })
            else { throw Invalid(code: 21656) }
            guard object.values.allSatisfy({ $0.utf16.count <= 1600 }) else { throw Invalid(code: 21658) }
            values = object
        }
        return Self.fill(text, values)
    }

    /// Whether Twilio takes the value: not empty, on one line, without a tab or more than four spaces in a row.
    private static func isUsable(_ value: String) -> Bool {
        !value.isEmpty && !value.contains { $0.isNewline || $0 == "\t" } && !value.contains("     ")
    }

    private static func fill(_ text: String, _ values: [String: String]) -> Rendered {
        var rendered = Rendered(text: "", isIncomplete: false)
        let pieces = text.split(separator: "{{", omittingEmptySubsequences: false)
        rendered.text += pieces[0]
        for piece in pieces.dropFirst() {
            guard let end = piece.firstRange(of: "}}") else {
                rendered.text += "{{" + piece
                continue
            }
            let name = String(piece[..<end.lowerBound])
            if values[name] == nil { rendered.isIncomplete = true }
            rendered.text += (values[name] ?? "{{\(name)}}") + piece[end.upperBound...]
        }
        return rendered
    }

    private static func isSID(_ sid: String) -> Bool {
        sid.utf8.count == 34 && sid.hasPrefix("HX") && sid.utf8.dropFirst(2).allSatisfy { Hex.value($0) != nil }
    }
}
