import Testing

@testable import otpd

/// What of the settings' files takes a restart.
@Suite struct ReloadTests {
    static let names: [String: String?] = [
        "DATABASE_URL": nil, "DATABASE_URL_FILE": "/db", "OTPD_SECRET": nil, "OTPD_SECRET_FILE": "/secret",
        "OTPD_SECRET_PREVIOUS_FILE": "/previous", "TWILIO_AUTH_TOKEN": nil, "TWILIO_AUTH_TOKEN_FILE": "/token",
    ]
    static let files = [
        "/db": "dbname=app", "/secret": Fixture.secret, "/previous": Fixture.secret + "1", "/token": Fixture.token,
    ]

    private static func settings(_ changes: [String: String] = [:]) throws -> Settings {
        let files = files.merging(changes) { $1 }.mapValues { Array($0.utf8) }
        return try Fixture.read(names, files: files).get()
    }

    @Test(
        arguments: [
            ([:], []), (["/token": Fixture.token + "2"], []), (["/db": "dbname=other"], [.databaseURL]),
            (["/secret": Fixture.secret + "2"], [.secret]), (["/previous": Fixture.secret + "3"], [.secretPrevious]),
            (["/db": "dbname=other", "/token": Fixture.token + "2"], [.databaseURL]),
        ] as [([String: String], [SettingName])])
    func onlyTwiliosCredentialsTakeNone(changes: [String: String], expected: [SettingName]) throws {
        let (old, new) = (try Self.settings(), try Self.settings(changes))
        #expect(Reload.takesRestart(from: old, to: new) == expected)
        #expect((old.twilio.login != new.twilio.login) == (changes["/token"] != nil))
    }
}
