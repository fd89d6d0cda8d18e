import HTTP
import TestSupport
import Testing

@testable import otpd

/// The documents say what `SettingReference` says.
@Suite struct SettingReferenceTests {
    @Test func eachSettingIsThereOnce() {
        #expect(SettingReference.all.count == SettingName.allCases.count)
        #expect(Set(SettingReference.all.map(\.name)) == Set(SettingName.allCases))
    }

    @Test func defaultsAreTheProgramsOwn() throws {
        let settings = try Fixture.settings()
        let standard = Dictionary(uniqueKeysWithValues: SettingReference.all.map { ($0.name, $0.standard) })
        #expect(standard[.maxInFlight] == .value("\(settings.sending.maxInFlight)"))
        #expect(standard[.resendUnknown] == .value(settings.sending.resendUnknown.rawValue))
        #expect(standard[.apiBaseURL] == .value("\(settings.twilio.baseURL)"))
        #expect(settings.twilio.plainHTTP == .toThisMachine && standard[.plainHTTP] == .value("no"))
        #expect(standard[.tracesSampler] == .value("parentbased_always_on"))
        #expect(standard[.logLevel] == .value("\(settings.log.level)"))
        #expect(standard[.logFormat] == .value("\(settings.log.format)"))
    }

    @Test func theExampleFileIsThis() {
        #expect(Repository.read("deploy/otpd.env.example") == SettingReference.environmentExample, "run: make settings")
    }

    @Test func theTableOfTheSettingsPageIsThis() {
        let page = Repository.read("deploy/docs/settings.md")
        #expect(page.contains("<!-- settings -->\n" + SettingReference.markdownTable), "run: make settings")
    }

    /// What stands in the example file as a value is what otpd takes.
    @Test func theExampleFileIsRead() throws {
        for line in SettingReference.environmentExample.split(separator: "\n") {
            #expect(line.count <= 120, "\(line)")
            guard let name = SettingName.allCases.first(where: { line.hasPrefix("#\($0.rawValue)=") }) else { continue }
            let value = String(line.dropFirst(name.rawValue.count + 2))
            guard !value.isEmpty else { continue }
            // An address to receive callbacks needs the URL that Twilio calls, and a sender of e-mail its server.
            let needed = [
                "OTPD_CALLBACK_PUBLIC_URL": "https://sms.example.com/twilio/status",
                "OTPD_SMTP_URL": "smtps://mail.example.com", "OTPD_MAIL_FROM": "codes@example.com",
            ]
            #expect(Fixture.problems(needed.merging([name.rawValue: value]) { $1 }) == [], "\(line)")
        }
    }
}
