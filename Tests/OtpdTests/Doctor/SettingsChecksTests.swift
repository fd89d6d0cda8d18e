import Testing

@testable import otpd

@Suite struct SettingsChecksTests {
    private func parts(_ changes: [String: String?]) -> Settings.Parts {
        Settings.parts(environment: Fixture.environment(changes), readFile: Fixture.reader([:]))
    }

    @Test func allIsWell() {
        let parts = parts([:])
        #expect(SettingsChecks.findings(parts).map(\.verdict) == [.pass])
        #expect(parts.database != nil && parts.secrets != nil && parts.twilio != nil && parts.appName == "Mgask")
    }

    @Test func everyProblemHasALineAndTheRestIsThere() {
        let parts = parts([
            "OTPD_SECRET": "short", "TWILIO_AUTH_TOKEN": nil, "TWILIO_PHONE_NUMBER": nil, "OTPD_MAX_IN_FLIGHT": "0",
        ])
        let findings = SettingsChecks.findings(parts)
        #expect(findings.map(\.verdict) == [.fail(.configuration), .fail(.configuration), .fail(.configuration)])
        #expect(findings[0].found.contains("TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER are not set"))
        #expect(!findings.contains { $0.found.contains("short\"") })
        #expect(parts.database != nil && parts.appName != nil)
        #expect(parts.secrets == nil && parts.twilio == nil)
    }

    @Test func aBrokenAddressIsNotTakenForTheDefaultOne() {
        let parts = parts(["DATABASE_URL": "mysql://db/app"])
        #expect(parts.database == nil)
        #expect(parts.twilio != nil && parts.secrets != nil)
        #expect(SettingsChecks.findings(parts).count == 1)
    }

    @Test func warningsAreWarnings() {
        let findings = SettingsChecks.findings(parts(["OTPD_APPNAME": "x"]))
        #expect(findings.map(\.verdict) == [.warn])
        #expect(findings[0].found.contains("OTPD_APP_NAME"))
    }

    /// The daemon refuses exactly what the doctor calls a failure.
    @Test(arguments: [
        ["OTPD_SECRET": nil], ["DATABASE_URL": "x"], ["OTPD_APP_NAME": nil], ["OTPD_LOG_LEVEL": "loud"],
        ["OTPD_CALLBACK_LISTEN": "127.0.0.1:80"], ["OTPD_CA_FILE": "/nowhere"], ["PATH": "x"],
    ])
    func theDaemonAgrees(changes: [String: String?]) {
        #expect(parts(changes).problems == Fixture.problems(changes))
    }
}
