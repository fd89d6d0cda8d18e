import FoundationEssentials
import Testing

@testable import otpd

@Suite struct ReportTests {
    private let check = Check("a-check", "A check")
    private let other = Check("other", "Another")

    @Test func theWorstFailureDecidesHowItEnds() {
        func code(_ findings: Finding...) -> ExitCode { Report(findings).exitCode }
        #expect(code() == .done)
        #expect(code(check.pass("a"), check.warn("b", "c"), check.skip("d")) == .done)
        #expect(code(check.fail(.unreachable, "a", "b")) == .unavailable)
        #expect(code(check.fail(.unreachable, "a", "b"), check.fail(.privileges, "a", "b")) == .refused)
        #expect(
            code(
                check.fail(.privileges, "a", "b"), check.fail(.configuration, "a", "b"),
                check.fail(.unreachable, "a", "b")) == .configuration)
    }

    @Test func aLineEachWithItsRemedyBeneath() {
        let report = Report([
            check.pass("fine"), other.warn("so so", "do this"), check.fail(.configuration, "bad", "do that"),
            other.skip("no database"), other.skip("can't be asked", "look there"),
        ])
        #expect(
            report.text(colour: false) == """
                ok    A check  fine
                warn  Another  so so
                        -> do this
                FAIL  A check  bad
                        -> do that
                skip  Another  no database
                skip  Another  can't be asked
                        -> look there

                1 failed, 1 with a warning, 1 ok, 2 not checked

                """)
    }

    @Test func anyAlphabetIsPrintedAndControlsAreNot() {
        let report = Report([check.warn("text \u{1B}[31m in رمز für\u{202E}", "do\nthis")])
        let plain = report.text(colour: false)
        #expect(plain.contains(#"text \u{1B}[31m in رمز für\u{202E}"#))
        #expect(!plain.contains("\u{1B}") && !plain.contains("\u{202E}"))
        let coloured = report.text(colour: true)
        #expect(coloured.hasPrefix("\u{1B}[33mwarn\u{1B}[0m  A check"))
        #expect(coloured.split(separator: "\n")[1] == #"        -> do\nthis"#)
    }

    @Test func json() throws {
        struct Wire: Decodable {
            struct Check: Decodable {
                let id: String
                let verdict: String
                let title: String
                let found: String
                let remedy: String?
                let exitCode: Int?

                enum CodingKeys: String, CodingKey {
                    case id, verdict, title, found, remedy
                    case exitCode = "exit_code"
                }
            }
            let checks: [Check]
            let summary: [String: Int]
        }
        let report = Report([
            check.pass("fine \"quoted\""), other.warn("so so", "do this"), check.fail(.privileges, "bad", "do that"),
            other.skip("why"),
        ])
        let wire = try JSONDecoder().decode(Wire.self, from: Data(report.json.utf8))
        #expect(wire.checks.map(\.id) == ["a-check", "other", "a-check", "other"])
        #expect(wire.checks.map(\.verdict) == ["pass", "warn", "fail", "skip"])
        #expect(wire.checks.map(\.remedy) == [nil, "do this", "do that", nil])
        #expect(wire.checks.map(\.exitCode) == [nil, nil, 77, nil])
        #expect(wire.checks[0].found == "fine \"quoted\"")
        #expect(wire.checks[0].title == "A check")
        #expect(wire.summary == ["pass": 1, "warn": 1, "fail": 1, "skip": 1, "exit_code": 77])
        let empty = try JSONDecoder().decode(Wire.self, from: Data(Report().json.utf8))
        #expect(empty.checks.isEmpty)
    }
}
