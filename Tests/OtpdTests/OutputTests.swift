import FoundationEssentials
import Testing

@testable import otpd

@Suite struct OutputTests {
    @Test(arguments: [
        ("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("مرحبا", 5), ("مَرْحَبًا", 5), ("日本", 4), ("한국", 4),
        ("\u{1112}\u{1161}\u{11AB}", 2), ("Ａ", 2), ("ﾊ", 1), ("😀", 2), ("👨‍👩‍👧", 2), ("🇸🇦", 2), ("❤️", 2), ("❤", 1),
        ("a\u{200D}b", 2), ("—", 1), ("─", 1), ("\u{AD}", 0), ("ไทย", 3), ("กำ", 1), ("नि", 1), ("+966 *** 567", 12),
    ])
    func widths(text: String, columns: Int) {
        #expect(DisplayWidth.columns(text) == columns)
    }

    @Test func columnsAreAlignedAndNumbersFlushRight() {
        let table = Table(
            columns: ["id", "name", "ok"],
            rows: [
                [.integer(1), .text("مرحبا"), .boolean(true)], [.integer(100), .text("日本語"), .boolean(false)],
                [.null, .null, .null],
            ])
        #expect(
            table.text == """
                 id  name    ok
                ───  ──────  ───
                  1  مرحبا   yes
                100  日本語  no
                  —  —       —

                """)
    }

    @Test func withoutRowsThereIsAHeader() {
        #expect(Table(columns: ["a", "bc"]).text == "a  bc\n─  ──\n")
        #expect(Table(columns: ["a"]).json == "[]\n")
    }

    @Test func aColumnWithAnyTextIsNotNumeric() {
        let table = Table(columns: ["mixed"], rows: [[.integer(1)], [.text("x")]])
        #expect(table.text == "mixed\n─────\n1\nx\n")
    }

    @Test func cellsCannotBreakTheTable() {
        let table = Table(columns: ["a", "b"], rows: [[.text("x\ny\u{1B}[2J"), .text("z")]])
        #expect(table.text == "a              b\n─────────────  ─\nx\\ny\\u{1B}[2J  z\n")
        #expect(table.text.split(separator: "\n").count == 3)
    }

    /// What reorders, hides or moves what is around it is spelled out, the same characters in every output.
    @Test(arguments: [
        "\u{202E}", "\u{202A}", "\u{2066}", "\u{2069}", "\u{200E}", "\u{200F}", "\u{61C}", "\u{200B}", "\u{FEFF}",
        "\u{AD}",
        "\u{E0041}", "\u{E007F}", "\u{3164}", "\u{115F}", "\u{FFA0}", "\u{34F}", "\u{2028}", "\u{85}", "\u{9B}",
        "\u{7F}",
        "\u{1B}", "\u{FFF9}", "\u{180E}",
    ])
    func deceptiveCharactersAreSpelledOut(text: String) throws {
        let scalar = try #require(text.unicodeScalars.first)
        #expect(SingleLine.mustEscape(scalar))
        let table = Table(columns: [text], rows: [[.text(text)]])
        let json = JSON.object([(text, .string(text))])
        for shown in [table.json, json.text, json.shown.text, Cell.text(text).text, SingleLine.quoted(text)] {
            #expect(!shown.unicodeScalars.contains(scalar), "\(SingleLine.quoted(shown))")
        }
        // And a program reads what was there.
        let data = Data(json.text.utf8)
        #expect(try JSONDecoder().decode([String: String].self, from: data) == [text: text])
    }

    @Test(arguments: ["مَقاسك", "می\u{200C}خواهم", "👨\u{200D}👩\u{200D}👧", "❤\u{FE0F}", "ﷺ", "葛\u{E0100}", "e\u{301}"])
    func textOfAnyScriptStays(text: String) {
        #expect(SingleLine.escaped(text) == text)
        #expect(JSON.string(text).text == "\"\(text)\"")
    }

    @Test func noLineEndsInSpaces() {
        let table = Table(columns: ["a", "long name"], rows: [[.text("x"), .text("")], [.text(""), .text("")]])
        #expect(table.text.split(separator: "\n", omittingEmptySubsequences: false).allSatisfy { $0.last != " " })
    }

    @Test func jsonKeepsTypes() {
        let table = Table(
            columns: ["id", "price", "nan", "name", "ok", "none"],
            rows: [
                [.integer(-1), .number("-0.00750"), .number("NaN"), .text("a\"\n"), .boolean(true), .null],
                [.integer(.max), .number("1e400"), .number("0"), .text("٣"), .boolean(false), .null],
            ])
        #expect(
            table.json
                == """
                [
                  {"id": -1, "price": -0.00750, "nan": "NaN", "name": "a\\"\\n", "ok": true, "none": null},
                  {"id": 9223372036854775807, "price": 1e400, "nan": "0", "name": "٣", "ok": false, "none": null}
                ]

                """.replacing("\"nan\": \"0\"", with: "\"nan\": 0"))
    }

    @Test(
        arguments: [
            ("cannot connect", "connection refused\n", "Start it.", "cannot connect: connection refused. Start it."),
            ("a", "is it running?", "Try: b", "a: is it running? Try: b."),
            ("A", "b.", nil, "A: b."), ("A", " b\nc ", nil, "A: b\\nc."), ("A", "\u{1B}[1mb", nil, "A: \\u{1B}[1mb."),
        ] as [(String, String, String?, String)])
    func aFailureIsOneLine(what: String, why: String, remedy: String?, line: String) {
        #expect(Failure(.unavailable, what, because: why, remedy: remedy).description == line)
    }

    @Test func exitCodesAreThoseOfSysexits() {
        #expect(ExitCode.done.rawValue == 0)
        #expect(ExitCode.usage.rawValue == 64)
        #expect(ExitCode.invalidInput.rawValue == 65)
        #expect(ExitCode.unavailable.rawValue == 69)
        #expect(ExitCode.internalError.rawValue == 70)
        #expect(ExitCode.outputFailed.rawValue == 74)
        #expect(ExitCode.refused.rawValue == 77)
        #expect(ExitCode.configuration.rawValue == 78)
    }
}
