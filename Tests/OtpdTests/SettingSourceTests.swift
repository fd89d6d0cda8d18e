import Glibc
import OTP
import Testing
import Tracing

@testable import otpd

/// Where secrets come from, and in which order.
@Suite struct SettingSourceTests {
    private let long = String(repeating: "fedcba98", count: 4)

    @Test(arguments: ["", "\n", "\r\n"])
    func aFileMayEndInOneLineBreak(ending: String) throws {
        let settings = try Fixture.settings(
            ["OTPD_SECRET": nil, "OTPD_SECRET_FILE": "/s"], files: ["/s": Array((long + ending).utf8)])
        #expect(settings.secrets.current.revealed == long)
    }

    @Test(arguments: ["\n\n", " ", " \n", "\t\n", "\r", "\n\r\n"])
    func moreThanThatIsAnError(ending: String) {
        let lines = Fixture.problems(
            ["OTPD_SECRET": nil, "OTPD_SECRET_FILE": "/s"], files: ["/s": Array((long + ending).utf8)])
        #expect(lines == ["OTPD_SECRET has a space or line break after it (from OTPD_SECRET_FILE). Remove it."])
    }

    @Test(arguments: SettingName.allCases.filter(\.isSecret))
    func everySecretMayComeFromAFileOrACredential(name: SettingName) throws {
        let value = name == .databaseURL ? "postgresql://otpd@db" : name == .otlpHeaders ? "token=\(long)" : long
        var changes: [String: String?] = [name.rawValue: nil]
        if name == .apiKeySecret { changes["TWILIO_API_KEY_SID"] = "SK" + Fixture.sid }
        if name == .dashboardToken { changes["OTPD_DASHBOARD_LISTEN"] = "0.0.0.0:9464" }
        if name == .otlpHeaders { changes["OTEL_EXPORTER_OTLP_ENDPOINT"] = "https://otel.example.com" }
        if name == .smtpPassword {
            changes["OTPD_SMTP_URL"] = "smtps://mail.example.com"
            changes["OTPD_MAIL_FROM"] = "codes@example.com"
            changes["OTPD_SMTP_USERNAME"] = "mgask"
        }
        let file = changes.merging([name.rawValue + "_FILE": "/f"]) { $1 }
        #expect(Fixture.problems(file, files: ["/f": Array(value.utf8)]) == [])
        let credential = changes.merging(["CREDENTIALS_DIRECTORY": "/run/credentials/otpd"]) { $1 }
        let path = "/run/credentials/otpd/" + name.rawValue.lowercased()
        let settings = try Fixture.settings(credential, files: [path: Array(value.utf8)])
        let read =
            switch name {
            case .databaseURL: settings.database.connection
            case .secret: settings.secrets.current
            case .secretPrevious: settings.secrets.previous
            case .authToken: settings.twilio.authToken
            case .smtpPassword: settings.mail?.password
            case .dashboardToken: settings.dashboard?.token
            case .otlpHeaders: settings.traces?.headers.list.first.map { Secret("\($0.name)=\($0.value)") }
            default:
                if case .apiKey(_, let secret) = settings.twilio.login { Optional(secret) } else { Secret?.none }
            }
        #expect(read?.revealed == value)
    }

    @Test func theEnvironmentWinsOverAFileAndSaysSo() throws {
        let settings = try Fixture.settings(["OTPD_SECRET_FILE": "/s"], files: ["/s": Array(long.utf8)])
        #expect(settings.secrets.current.revealed == Fixture.secret)
        #expect(settings.warnings.count == 1)
        #expect(settings.warnings.first?.hasPrefix("OTPD_SECRET and OTPD_SECRET_FILE are both set:") == true)
    }

    @Test func aFileWinsOverACredential() throws {
        let settings = try Fixture.settings(
            ["OTPD_SECRET": nil, "OTPD_SECRET_FILE": "/s", "CREDENTIALS_DIRECTORY": "/c"],
            files: ["/s": Array(long.utf8), "/c/otpd_secret": Array((long + "2").utf8)])
        #expect(settings.secrets.current.revealed == long)
    }

    @Test func anEmptyVariableLeavesTheFileItsTurn() throws {
        let settings = try Fixture.settings(
            ["OTPD_SECRET": "", "OTPD_SECRET_FILE": "/s"], files: ["/s": Array(long.utf8)])
        #expect(settings.secrets.current.revealed == long)
    }

    @Test func aMissingCredentialIsNotSetButAMissingFileIsAnError() {
        #expect(
            Fixture.problems(["TWILIO_AUTH_TOKEN": nil, "CREDENTIALS_DIRECTORY": "/c"]) == [
                "SMS service not configured: TWILIO_AUTH_TOKEN is not set"
            ])
        let lines = Fixture.problems(["TWILIO_AUTH_TOKEN": nil, "TWILIO_AUTH_TOKEN_FILE": "/none"])
        #expect(
            lines == [
                "TWILIO_AUTH_TOKEN cannot be read: TWILIO_AUTH_TOKEN_FILE is \"/none\": No such file or directory. "
                    + "Correct the path or the file's mode."
            ])
    }

    /// What the unit sets where there is no file to load.
    @Test(arguments: [[], [0x0A]] as [[UInt8]])
    func anEmptyCredentialIsNotSet(bytes: [UInt8]) {
        #expect(
            Fixture.problems(
                ["TWILIO_AUTH_TOKEN": nil, "CREDENTIALS_DIRECTORY": "/c"], files: ["/c/twilio_auth_token": bytes]) == [
                    "SMS service not configured: TWILIO_AUTH_TOKEN is not set"
                ])
    }

    @Test func anUnreadableCredentialIsAnError() {
        let result = Settings.worker(
            environment: Fixture.environment(["OTPD_SECRET": nil, "CREDENTIALS_DIRECTORY": "/c"]),
            readFile: { path in throw FileError(code: path.hasSuffix("otpd_secret") ? EACCES : ENOENT) })
        guard case .failure(let problems) = result else {
            Issue.record("an unreadable credential passed")
            return
        }
        #expect(problems.lines.count == 1)
        #expect(problems.lines.first?.contains("Permission denied") == true)
    }

    @Test(
        arguments: [
            ([], "is empty"), ([0x0A], "is empty"), ([0x66, 0xFF, 0x66], "not UTF-8"), ([0xC3], "not UTF-8"),
            (Array(repeating: 0x66, count: 32) + [0], "control or invisible character"),
            (
                Array(repeating: 0x66, count: 16) + [0] + Array(repeating: 0x66, count: 16),
                "control or invisible character"
            ),
        ] as [([UInt8], String)])
    func aFileThatIsNoTextIsRefused(bytes: [UInt8], reason: String) {
        let lines = Fixture.problems(["OTPD_SECRET": nil, "OTPD_SECRET_FILE": "/s"], files: ["/s": bytes])
        #expect(lines.count == 1)
        #expect(lines.first?.contains(reason) == true, "\(lines)")
    }

    @Test func onlySecretsHaveFiles() throws {
        let settings = try Fixture.settings(["OTPD_APP_NAME_FILE": "/s"])
        #expect(settings.appName == "Mgask")
        #expect(settings.warnings.count == 1)
    }

    @Test func aPathIsPrintedOnOneLine() {
        let lines = Fixture.problems(["OTPD_SECRET": nil, "OTPD_SECRET_FILE": "/a\nb\u{1B}[31m"])
        #expect(lines.count == 1)
        #expect(lines.first?.contains(#""/a\nb\u{1B}[31m""#) == true)
    }

    @Test(arguments: [
        ("OTPD_MAX_INFLIGHT", "Did you mean OTPD_MAX_IN_FLIGHT?"), ("OTPD_SECRETS", "Did you mean OTPD_SECRET?"),
        ("OTPD_LOGLEVEL", "Did you mean OTPD_LOG_LEVEL?"), ("OTPD_SECERT_FILE", "Did you mean OTPD_SECRET_FILE?"),
        ("OTPD_ZZZZZZZZZZZZZZ", "Check its spelling, or unset it."),
    ])
    func unknownNamesAreWarnedOf(name: String, hint: String) throws {
        let warnings = try Fixture.settings([name: "x"]).warnings
        #expect(warnings == ["\(name) is not a setting of otpd and is ignored. \(hint)"])
    }

    @Test func otherProgramsVariablesAreLeftAlone() throws {
        let warnings = try Fixture.settings([
            "TWILIO_WORKSPACE_SID": "x", "PGHOST": "x", "HOME": "x", "TWILIO_AUTH_TOKENS": "x",
        ]).warnings
        #expect(warnings.isEmpty)
    }

    @Test func aMisspeltTwilioNameIsWarnedOfWhereItsMeantOneIsNotSet() throws {
        let environment = Fixture.environment(["TWILIO_API_BASE_URI": "x"])
        let settings = try Settings.worker(environment: environment, readFile: Fixture.reader([:])).get()
        #expect(settings.warnings.first?.hasSuffix("Did you mean TWILIO_API_BASE_URL?") == true)
    }

    @Test(arguments: [
        ("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "xabc", 1), ("abc", "axc", 1),
        ("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3),
    ])
    func distances(left: String, right: String, distance: Int) {
        #expect(Spelling.distance(left, right) == distance)
    }

    @Test func smallFilesAreReadWholeAndErrorsNamed() throws {
        #expect(throws: FileError(code: ENOENT)) { try SmallFile.read("/nonexistent/otpd") }
        #expect(throws: FileError(code: EISDIR)) { try SmallFile.read("/") }
        #expect(throws: FileError("its name contains a NUL")) { try SmallFile.read("/etc\u{0}/x") }
        #expect(throws: FileError("it is larger than 8 MiB")) { try SmallFile.read("/dev/zero") }
        #expect(try SmallFile.read("/dev/null").isEmpty)
        #expect(try !SmallFile.read("/proc/self/status").isEmpty)
    }

    @Test func theProcessEnvironmentIsRead() {
        #expect(ProcessEnvironment.current()["PATH"]?.isEmpty == false)
    }
}
