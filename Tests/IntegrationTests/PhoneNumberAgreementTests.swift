import OTP
import Testing

/// SQL's table of regions against the daemon's libphonenumber: the same E.164, or both refuse.
@Suite(.database) struct PhoneNumberAgreementTests {
    let database = TestScope.current?.database

    /// How people write a number whose E.164 is `e164` and whose calling code has `length` digits.
    static func spellings(_ e164: String, callingCode: String) -> [String] {
        let digits = String(e164.dropFirst())
        let national = String(digits.dropFirst(callingCode.count))
        let arabic = String(
            String.UnicodeScalarView(digits.unicodeScalars.map { Unicode.Scalar($0.value - 48 + 0x660)! }))
        let grouped = national.enumerated().map { $0 > 0 && $0 % 3 == 0 ? " \($1)" : "\($1)" }.joined()
        return [
            e164, digits, national, "0" + national, "00" + digits, "+\(callingCode) (0)\(national)", "+" + arabic,
            arabic,
            "\u{200E}\(e164)\u{200F}", "+\(callingCode) \(grouped)", "(0)\(grouped)", "+\(callingCode)-\(national)",
            e164 + "1", String(e164.dropLast()), String(national.dropLast(2)), "+\(callingCode)0\(national)",
            "1" + national,
            "011" + digits, "8" + national,
        ]
    }

    @Test func theyAgreeOverEveryRegionsExamples() async throws {
        let database = try #require(database)
        let codes = Set(try await database.text("SELECT DISTINCT country_code FROM otp.regions").split(separator: "\n"))
        var cases: [(text: String, region: String)] = []
        var regions = 0
        for name in PhoneExamples.regions {
            let home = Region(name) == nil ? "SA" : name
            var hasExample = false
            for type in NumberType.allCases {
                guard let e164 = PhoneExamples.e164(region: name, type: type) else { continue }
                hasExample = true
                let callingCode = try #require((1...3).map { e164.dropFirst().prefix($0) }.first { codes.contains($0) })
                for spelling in Self.spellings(e164, callingCode: String(callingCode)) {
                    for region in Set([home, "SA"]) { cases.append((spelling, region)) }
                }
            }
            if hasExample { regions += 1 }
        }
        #expect(regions > 240)
        #expect(cases.count > 20_000)

        var texts: [String] = []
        for item in cases { texts.append("('\(item.text)','\(item.region)')") }
        var answers: [Substring] = []
        for start in stride(from: 0, to: texts.count, by: 5000) {
            let values = texts[start..<min(start + 5000, texts.count)].joined(separator: ",")
            answers += try await database.text(
                """
                SELECT coalesce(p.e164, '-')
                  FROM (SELECT row_number() OVER () AS n, * FROM (VALUES \(values)) t(raw, region)) t,
                       LATERAL otp.parse_phone_number(t.raw, t.region) p ORDER BY t.n
                """
            ).split(separator: "\n")
        }
        #expect(answers.count == cases.count)
        var differences: [String] = []
        var numbers = 0
        for (item, answer) in zip(cases, answers) {
            let region = try #require(Region(item.region))
            let ours: String
            do throws(PhoneNumber.Refusal) { ours = try PhoneNumber(parsing: item.text, region: region).e164 } catch {
                ours = "-"
            }
            if ours != "-" { numbers += 1 }
            if ours != answer {
                differences.append("\(item.text) in \(item.region): libphonenumber \(ours), SQL \(answer)")
            }
        }
        #expect(numbers > 5000)
        let count = differences.count
        #expect(count == 0, "such as:\n\(differences.prefix(20).joined(separator: "\n"))")
    }
}
