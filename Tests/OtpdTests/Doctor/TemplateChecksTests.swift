import OTP
import Testing

@testable import otpd

@Suite struct TemplateChecksTests {
    private func row(
        _ text: String, _ locale: String = "en", _ purpose: String = "login", host: String? = nil
    ) -> TemplateSet.Row { .init(purpose: purpose, locale: locale, text: text, webOTPHost: host) }

    private let reference = "Your {app} verification code is: {code}. Valid for {minutes} minutes."
    private let arabic = "رمز التحقق الخاص بك هو: {code}. صالح لمدة {minutes} دقائق."

    private func segments(_ rows: TemplateSet.Row..., appName: String? = "Mgask") -> [Finding] {
        TemplateChecks.segments(rows, appName: appName)
    }

    @Test func theReferenceTextsFitIntoOne() {
        #expect(segments(row(reference), row(arabic, "ar")).map(\.verdict) == [.pass])
    }

    /// 70 of UCS-2 fit, 71 do not: with a code of six digits and ten minutes.
    @Test func theLimitOfAnArabicText() {
        let fixed = "{code}{minutes}"
        #expect(segments(row(String(repeating: "ب", count: 62) + fixed, "ar")).map(\.verdict) == [.pass])
        let long = segments(row(String(repeating: "ب", count: 63) + fixed, "ar"))
        #expect(long.map(\.verdict) == [.warn])
        #expect(long[0].found.contains("2 segments"))
        #expect(long[0].found.contains("It has 71 characters, 1 more than the 70 of one segment."))
        #expect(long[0].found.contains("U+0628 arabic letter beh"))
    }

    @Test func theWebOTPLineCounts() {
        let finding = segments(row(arabic, "ar", host: "login.example.com"))[0]
        #expect(finding.found.contains("160 fit if all letters are Latin."))
        #expect(finding.verdict == .warn)
        #expect(finding.found.contains("The WebOTP line takes 27 of them."))
        #expect(segments(row(reference, host: "login.example.com")).map(\.verdict) == [.pass])
    }

    @Test func oneCharacterForcesTheOtherAlphabet() {
        let finding = segments(row(reference + " Don\u{2019}t share it with anybody at all."))[0]
        #expect(finding.verdict == .warn)
        #expect(finding.found.contains("because of U+2019 right single quotation mark"))
        #expect(segments(row(reference + " Don't share it with anybody at all.")).map(\.verdict) == [.pass])
        let named = segments(row(reference + " Do not tell anybody."), appName: "Müşteri")[0]
        #expect(named.found.contains("U+015F") && named.found.contains(" from OTPD_APP_NAME."))
    }

    @Test func longerThanTwilioTakes() {
        let finding = segments(row(String(repeating: "{app}", count: 190) + "{code}"), appName: "A name of 20 letters")[
            0]
        #expect(finding.verdict == .fail(.configuration))
        #expect(finding.found.contains("3806 characters") && finding.found.contains("1600"))
        #expect(segments(row(String(repeating: "a", count: 994) + "{code}"))[0].verdict == .warn)
    }

    @Test func aTextThatIsNoTemplate() {
        let findings = segments(row("{code} {name}"), row(reference, "ar"))
        #expect(findings.map(\.verdict) == [.fail(.configuration)])
        #expect(findings[0].found.contains("login, en") && findings[0].found.contains("{name}"))
        #expect(segments(row(reference), appName: nil).map(\.verdict) == [.skip])
    }

    @Test func languages() {
        func verdicts(_ rows: TemplateSet.Row...) -> [Finding] { TemplateChecks.locales(rows) }
        #expect(verdicts(row("{code}"), row("{code}", "ar")).map(\.verdict) == [.pass])
        #expect(verdicts().map(\.verdict) == [.fail(.configuration)])
        let noEnglish = verdicts(row("{code}", "ar"))
        #expect(noEnglish.map(\.verdict) == [.warn])
        #expect(noEnglish[0].found.contains("no text in en"))
        let half = verdicts(
            row("{code}"), row("{code}", "ar"), row("{code}", "en", "payment"), row("{code}", "fr", "payment"))
        #expect(half.map(\.verdict) == [.warn, .warn])
        #expect(half[0].found.hasPrefix("The purpose login has no text in fr"))
        #expect(half[1].found.hasPrefix("The purpose payment has no text in ar"))
    }
}
