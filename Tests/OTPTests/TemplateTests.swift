import OTP
import TestSupport
import Testing

struct TemplateTests {
    static let english = "Your {app} verification code is: {code}. Valid for {minutes} minutes."
    static let arabic = "رمز التحقق الخاص بك هو: {code}. صالح لمدة {minutes} دقائق."

    func render(_ text: String, app: String = "Mgask", code: String = "482913", minutes: Int = 5) throws -> String {
        var buffer: [UInt8] = Array("before ".utf8)
        try Template(text).render(into: &buffer, app: Array(app.utf8), code: Code(code), minutes: minutes)
        return String(decoding: buffer.dropFirst(7), as: UTF8.self)
    }

    @Test func referenceTexts() throws {
        #expect(
            try render(TemplateTests.english)
                == "Your Mgask verification code is: 482913. Valid for 5 minutes.")
        #expect(try render(TemplateTests.arabic) == "رمز التحقق الخاص بك هو: 482913. صالح لمدة 5 دقائق.")
    }

    @Test(arguments: [
        ("{code}", "482913"), ("{code}{code}", "482913482913"), ("a{code}", "a482913"), ("{code}z", "482913z"),
        ("{minutes}{app}{code}", "5Mgask482913"), ("😀{code}😀", "😀482913😀"),
        ("{code}\u{301}", "482913\u{301}"), ("{code}\u{200D}.", "482913\u{200D}."),
    ])
    func shapes(_ text: String, _ rendered: String) throws {
        #expect(try render(text) == rendered)
    }

    @Test(arguments: [
        ("", Template.Problem.noCode), ("no place", .noCode), ("{app} {minutes}", .noCode),
        ("{code} {name}", .unknownPlaceholder("name")), ("{code} {}", .unknownPlaceholder("")),
        ("{ code }", .unknownPlaceholder(" code ")), ("{CODE}", .unknownPlaceholder("CODE")),
        ("{code", .unbalancedBrace), ("code}", .unbalancedBrace), ("{code}}", .unbalancedBrace),
        ("{{code}}", .unknownPlaceholder("{code")), ("{code}\u{0}", .containsNUL),
        // For a `Character`, a brace followed by a combining mark is a different character.
        ("{code} {\u{301}", .unbalancedBrace), ("{code} {\u{301}x}", .unknownPlaceholder("\u{301}x")),
    ])
    func problems(_ text: String, _ problem: Template.Problem) {
        #expect(throws: problem) { try Template(text) }
        #expect(!problem.description.isEmpty)
    }

    /// Values of placeholders are not parsed, so an app named `{code}` keeps its name.
    @Test func fillingsAreNotTemplates() throws {
        #expect(try render("{app}: {code}", app: "{code}{minutes}", code: "{app}") == "{code}{minutes}: {app}")
    }

    /// Compares random templates with the replacement of strings.
    @Test func agreesWithReplacing() throws {
        var random = SeededGenerator(11)
        let pieces = ["{app}", "{code}", "{minutes}", "x", " ", "é", "رمز", "😀", "\n", "%", "$1", "\\"]
        for _ in 0..<500 {
            let text =
                (0..<Int.random(in: 0...12, using: &random))
                .map { _ in pieces.randomElement(using: &random)! }.joined() + "{code}"
            let minutes = Int.random(in: 1...600, using: &random)
            var expected = ""
            var rest = text[...]
            while let first = rest.first {
                if rest.hasPrefix("{app}") {
                    expected += "Ünï"
                    rest = rest.dropFirst(5)
                } else if rest.hasPrefix("{code}") {
                    expected += "0042"
                    rest = rest.dropFirst(6)
                } else if rest.hasPrefix("{minutes}") {
                    expected += String(minutes)
                    rest = rest.dropFirst(9)
                } else {
                    expected.append(first)
                    rest = rest.dropFirst()
                }
            }
            #expect(try render(text, app: "Ünï", code: "0042", minutes: minutes) == expected)
        }
    }

    @Test(arguments: [
        (300.0, 5), (299.0, 5), (298.4, 5), (270.0, 5), (269.9, 4), (90.0, 2), (60.0, 1), (29.0, 1), (0.0, 1),
        (-500.0, 1), (600.0, 10),
    ])
    func minutes(_ seconds: Double, _ minutes: Int) {
        #expect(Template.minutes(lifeLeft: .seconds(seconds)) == minutes)
    }

    @Test func sets() throws {
        let set = TemplateSet([
            .init(purpose: "phone_verification", locale: "en", text: TemplateTests.english),
            .init(purpose: "phone_verification", locale: "ar", text: TemplateTests.arabic),
        ])
        #expect(try set.template(purpose: "phone_verification", locale: "ar") == Template(TemplateTests.arabic))
        #expect(set.badRows.isEmpty)
        let missing = #expect(throws: TemplateSet.Missing.self) {
            try set.template(purpose: "phone_verification", locale: "fr")
        }
        #expect(missing?.description.contains("\"fr\"") == true)
    }

    @Test("a row that is no template costs its own messages and no others")
    func badRows() throws {
        let set = TemplateSet([
            .init(purpose: "a", locale: "en", text: "nothing"), .init(purpose: "b", locale: "en", text: "{code}"),
            .init(purpose: "c", locale: "en", text: "{code} {what}"),
        ])
        #expect(set.badRows.map(\.purpose) == ["a", "c"])
        #expect(try set.template(purpose: "b", locale: "en") == Template("{code}"))
        let bad = #expect(throws: TemplateSet.Missing.self) { try set.template(purpose: "c", locale: "en") }
        #expect(bad?.description.contains("{what}") == true)
        let slip = TemplateSet([.init(purpose: "b", locale: "en", text: "{cod}")], keeping: set)
        #expect(slip.badRows.count == 1)
        #expect(try slip.template(purpose: "b", locale: "en") == Template("{code}"), "the one before is kept")
    }
}
