import HTTP
import HTTPServer
import Logging
import OTP
import Testing

@testable import otpd

@Suite struct SettingsTests {
    @Test func completeSettingsHaveTheContractsDefaults() throws {
        let settings = try Fixture.settings()
        #expect(settings.database.connection?.revealed == "postgresql://otp_worker:hunter2@db/app")
        #expect(settings.log == LogSettings(level: .info, format: .text))
        #expect(settings.secrets.current.revealed == Fixture.secret)
        #expect(settings.secrets.previous == nil)
        #expect(settings.twilio.accountSID == Fixture.accountSID)
        #expect(settings.twilio.login == .authToken(Secret(Fixture.token)))
        #expect(settings.twilio.authToken?.revealed == Fixture.token)
        #expect("\(settings.twilio.sender)" == "from(\"+15005550006\")")
        #expect(settings.twilio.baseURL.description == "https://api.twilio.com")
        #expect(settings.appName == "Mgask")
        #expect(settings.sending == SendingSettings(maxInFlight: 64, ratePerSecond: nil, resendUnknown: .afterGrace))
        #expect(settings.callbacks == nil)
        #expect(settings.caFile == nil)
        #expect(settings.warnings.isEmpty)
    }

    /// Plain http to another machine needs its own setting, which never holds for Twilio itself.
    @Test(
        arguments: [
            ("http://simulator:4010", nil, false), ("http://simulator:4010", "no", false),
            ("http://simulator:4010", "yes", true), ("http://10.1.2.3", "yes", true),
            ("http://127.0.0.1:1", "yes", true), ("https://api.twilio.com", "yes", true),
            ("http://api.twilio.com", "yes", false), ("http://api.dublin.ie1.twilio.com", "yes", false),
            ("http://TWILIO.com", "yes", false), ("http://nottwilio.com", "yes", true),
        ] as [(String, String?, Bool)])
    func plainHTTPToTwilio(url: String, setting: String?, isAllowed: Bool) throws {
        let changes = ["TWILIO_API_BASE_URL": url, "OTPD_PLAIN_HTTP_TO_TWILIO": setting]
        guard isAllowed else {
            let problems = Fixture.problems(changes)
            #expect(problems.count == 1)
            let reason =
                setting == "yes"
                ? "is plain http to Twilio, which would reveal credentials and codes."
                : "is plain http to another machine, which would reveal credentials."
            #expect(problems.first == "TWILIO_API_BASE_URL \(reason) Use https://")
            return
        }
        let settings = try Fixture.settings(changes)
        #expect(settings.twilio.plainHTTP == .toAnyHostButTwilio)
        #expect(settings.twilio.baseURL.description == url)
        let isNeeded = url.hasPrefix("http:") && !url.contains("127.0.0.1")
        #expect(
            settings.warnings == [
                isNeeded
                    ? "OTPD_PLAIN_HTTP_TO_TWILIO is yes: codes and credentials go to \(url) without encryption, and "
                        + "everyone on the way can read them. Use it only for a simulator in a private network of containers."
                    : "OTPD_PLAIN_HTTP_TO_TWILIO is yes, but TWILIO_API_BASE_URL does not need it. Unset it."
            ])
    }

    /// It opens no other address.
    @Test func plainHTTPToTwilioDoesNotHoldForCallbacks() {
        let problems = Fixture.problems([
            "OTPD_PLAIN_HTTP_TO_TWILIO": "yes", "OTPD_CALLBACK_PUBLIC_URL": "http://sms.example.com/status",
        ])
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("OTPD_CALLBACK_PUBLIC_URL is plain http to another machine") == true)
    }

    @Test func nothingSetReportsEverythingAtOnce() {
        let result = Settings.worker(environment: [:], readFile: Fixture.reader([:]))
        guard case .failure(let problems) = result else {
            Issue.record("an empty environment passed")
            return
        }
        #expect(
            problems.lines == [
                "SMS service not configured: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER are not set",
                "OTPD_SECRET is not set. Give otpd and your backend the same value. Make one: openssl rand -hex 32",
                "OTPD_APP_NAME is not set. Set the name that users know your service by. It fills {app} in the texts.",
            ])
        #expect(problems.exitCode.rawValue == 78)
    }

    @Test func everythingWrongReportsEachOnALineOfItsOwn() {
        let lines = Fixture.problems([
            "DATABASE_URL": "mysql://x", "OTPD_SECRET": "short", "OTPD_SECRET_PREVIOUS": "short",
            "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "a b", "TWILIO_API_KEY_SID": "SK1",
            "TWILIO_API_KEY_SECRET": "a b", "TWILIO_PHONE_NUMBER": "0501234567", "TWILIO_API_BASE_URL": "ftp://x",
            "OTPD_APP_NAME": "{app}", "OTPD_MAX_IN_FLIGHT": "0", "OTPD_RATE_PER_SECOND": "0",
            "OTPD_RESEND_UNKNOWN": "maybe", "OTPD_CALLBACK_LISTEN": "x", "OTPD_CALLBACK_PUBLIC_URL": "x",
            "OTPD_CA_FILE": "/none", "OTPD_LOG_LEVEL": "loud", "OTPD_LOG_FORMAT": "xml",
            "OTPD_PLAIN_HTTP_TO_TWILIO": "maybe",
        ])
        #expect(lines.count == 19)
        #expect(lines.allSatisfy { !$0.contains("\n") })
    }

    @Test(arguments: [
        (["TWILIO_AUTH_TOKEN"], "SMS service not configured: TWILIO_AUTH_TOKEN is not set"),
        (["TWILIO_ACCOUNT_SID"], "SMS service not configured: TWILIO_ACCOUNT_SID is not set"),
        (["TWILIO_PHONE_NUMBER"], "SMS service not configured: TWILIO_PHONE_NUMBER is not set"),
        (
            ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"],
            "SMS service not configured: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN are not set"
        ),
    ])
    func missingTwilioSettingsSayExactlyThis(names: [String], line: String) {
        // Absent and empty are the same: an env file has `NAME=` for what is to be filled in.
        for value: String? in [nil, ""] {
            #expect(Fixture.problems(Dictionary(uniqueKeysWithValues: names.map { ($0, value) })) == [line])
        }
    }

    @Test(arguments: [
        ("TWILIO_API_KEY_SID", "SK" + Fixture.sid, "TWILIO_API_KEY_SECRET"),
        ("TWILIO_API_KEY_SECRET", "abc", "TWILIO_API_KEY_SID"),
    ])
    func halfAnAPIKeyIsMissingTheOtherHalf(name: String, value: String, missing: String) {
        let line = "SMS service not configured: \(missing) is not set"
        #expect(Fixture.problems([name: value]) == [line])
        #expect(Fixture.problems([name: value, "TWILIO_AUTH_TOKEN": nil]) == [line])
    }

    @Test func anAPIKeyIsUsedForRequestsAndTheTokenKeptForCallbacks() throws {
        let key = ["TWILIO_API_KEY_SID": "SK" + Fixture.sid, "TWILIO_API_KEY_SECRET": "abc"]
        let both = try Fixture.settings(key).twilio
        #expect(both.login == .apiKey(sid: "SK" + Fixture.sid, secret: Secret("abc")))
        #expect(both.authToken?.revealed == Fixture.token)
        let keyOnly = try Fixture.settings([
            "TWILIO_API_KEY_SID": "SK" + Fixture.sid, "TWILIO_API_KEY_SECRET": "abc", "TWILIO_AUTH_TOKEN": nil,
        ]).twilio
        #expect(keyOnly.authToken == nil)
    }

    @Test func twoSendersAreOneTooMany() {
        let lines = Fixture.problems(["TWILIO_MESSAGING_SERVICE_SID": "MG" + Fixture.sid])
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("TWILIO_PHONE_NUMBER and TWILIO_MESSAGING_SERVICE_SID are both set.") == true)
    }

    @Test func aMessagingServiceStandsInForANumber() throws {
        let settings = try Fixture.settings([
            "TWILIO_PHONE_NUMBER": nil, "TWILIO_MESSAGING_SERVICE_SID": "MG" + Fixture.sid,
        ])
        #expect("\(settings.twilio.sender)" == "messagingService(\"MG\(Fixture.sid)\")")
    }

    @Test func databaseCommandsNeedNoTwilioAndNoSecret() throws {
        let settings = try Settings.database(environment: [:], readFile: Fixture.reader([:])).get()
        #expect(settings.database.connection == nil)
        #expect(settings.warnings.isEmpty)
    }

    @Test func databaseCommandsIgnoreWhatTheyDoNotRead() throws {
        let environment = ["TWILIO_AUTH_TOKEN": " x ", "OTPD_SECRET": "short", "OTPD_MAX_IN_FLIGHT": "no"]
        _ = try Settings.database(environment: environment, readFile: Fixture.reader([:])).get()
    }

    @Test func databaseCommandsReportABrokenDatabaseAndLog() {
        let environment = ["DATABASE_URL": "db.example", "OTPD_LOG_LEVEL": "loud"]
        let result = Settings.database(environment: environment, readFile: Fixture.reader([:]))
        guard case .failure(let problems) = result else {
            Issue.record("a broken DATABASE_URL passed")
            return
        }
        #expect(problems.lines.count == 2)
    }

    @Test func webTierCommandsNeedTheSecretAndNoTwilio() throws {
        let none = Settings.backend(environment: [:], readFile: Fixture.reader([:]))
        guard case .failure(let problems) = none else {
            Issue.record("a missing secret passed")
            return
        }
        #expect(problems.lines.count == 1)
        #expect(problems.lines.first?.hasPrefix("OTPD_SECRET is not set.") == true)
        let some = try Settings.backend(environment: ["OTPD_SECRET": Fixture.secret], readFile: Fixture.reader([:]))
            .get()
        #expect(some.secrets.current.revealed == Fixture.secret)
    }

    @Test func noProblemShowsACredential() {
        // Each credential wrong in its own way, with a marker in it that must not come out.
        let marker = "MARKER7"
        let values = [
            " \(marker)", "\(marker)\n", "\"\(marker)\"", "\(marker)\u{7}x", "\(marker)é", "\(marker) x", marker,
        ]
        for name in SettingName.allCases where name.isSecret || name.rawValue.hasSuffix("SID") {
            for value in values {
                let lines = Fixture.problems([name.rawValue: value])
                #expect(lines.allSatisfy { !$0.contains(marker) }, "\(name) \(lines)")
            }
        }
    }

    @Test func settingsDoNotPrintTheirSecrets() throws {
        let settings = try Fixture.settings([
            "TWILIO_API_KEY_SID": "SK" + Fixture.sid, "TWILIO_API_KEY_SECRET": "topsecret",
        ])
        var dumped = ""
        dump(settings, to: &dumped)
        for text in ["\(settings)", String(reflecting: settings), dumped] {
            for secret in [Fixture.secret, Fixture.token, "hunter2", "topsecret"] { #expect(!text.contains(secret)) }
        }
    }

    @Test(arguments: ["trace", "debug", "info", "notice", "warning", "error", "critical"])
    func everyLogLevelIsKnown(level: String) throws {
        #expect(try Fixture.settings(["OTPD_LOG_LEVEL": level]).log.level.rawValue == level)
    }

    @Test(arguments: [
        ("OTPD_RESEND_UNKNOWN", "after-grace"), ("OTPD_RESEND_UNKNOWN", "never"),
        ("OTPD_CALLBACK_PUBLIC_URL", "https://a.b/c"),
    ])
    func settingsThatWorkSayNothing(name: String, value: String) throws {
        #expect(try Fixture.settings([name: value]).warnings.isEmpty)
    }

    @Test func aReceiverSaysNothing() throws {
        let settings = try Fixture.settings([
            "OTPD_CALLBACK_LISTEN": "127.0.0.1:1", "OTPD_CALLBACK_PUBLIC_URL": "https://a.b",
        ])
        #expect(settings.warnings.isEmpty)
        #expect(settings.callbacks?.listen?.port == 1)
    }

    @Test func theReceiverAloneNeedsNeitherASenderNorTheSecret() throws {
        let environment = [
            "TWILIO_AUTH_TOKEN": Fixture.token, "OTPD_CALLBACK_LISTEN": "127.0.0.1:8080",
            "OTPD_CALLBACK_PUBLIC_URL": "https://sms.example.com/status", "OTPD_SECRET": "short",
        ]
        let settings = try Settings.receiver(environment: environment, readFile: Fixture.reader([:])).get()
        #expect(settings.authToken.revealed == Fixture.token)
        #expect(settings.listen.description == "127.0.0.1:8080")
        #expect(settings.publicURL.description == "https://sms.example.com/status")
        #expect(settings.warnings.isEmpty)
    }

    @Test func theReceiverAloneReportsEverythingAtOnce() {
        let result = Settings.receiver(environment: [:], readFile: Fixture.reader([:]))
        guard case .failure(let problems) = result else {
            Issue.record("an empty environment passed")
            return
        }
        #expect(
            problems.lines == [
                "SMS service not configured: TWILIO_AUTH_TOKEN is not set",
                "OTPD_CALLBACK_LISTEN is not set. Set it to the address that receives callbacks, such as 127.0.0.1:8080",
                "OTPD_CALLBACK_PUBLIC_URL is not set. Set it to the URL that Twilio calls, such as https://sms.example.com/status",
            ])
    }

    @Test func aPreviousSecretEqualToTheCurrentOneIsAWarning() throws {
        let same = try Fixture.settings(["OTPD_SECRET_PREVIOUS": Fixture.secret])
        #expect(
            same.warnings == [
                "OTPD_SECRET_PREVIOUS is the same as OTPD_SECRET. Unset it when the secret does not change."
            ])
        let shared = ["OTPD_DASHBOARD_LISTEN": "127.0.0.1:1", "OTPD_DASHBOARD_TOKEN": Fixture.secret]
        #expect(Fixture.problems(shared).map { $0.prefix(32) } == ["OTPD_DASHBOARD_TOKEN is the same"])
        let other = try Fixture.settings(["OTPD_SECRET_PREVIOUS": Fixture.secret + "x"])
        #expect(other.secrets.previous?.revealed == Fixture.secret + "x")
        #expect(other.warnings.isEmpty)
    }
}
