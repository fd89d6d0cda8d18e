import HTTPServer
import Testing

@testable import otpd

/// Each value alone: what passes, and what is refused with one line that names the variable.
@Suite struct SettingValueTests {
    @Test(arguments: SettingValues.good)
    func passes(name: String, value: String) {
        #expect(Fixture.problems([name: value]) == [])
    }

    @Test(arguments: SettingValues.bad)
    func refuses(name: String, value: String) {
        let lines = Fixture.problems([name: value])
        #expect(lines.count == 1, "\(lines)")
        #expect(lines.first?.hasPrefix(name + " ") == true, "\(lines)")
        // The problem comes first, and then the remedy.
        #expect(lines.first?.contains(/[.;:] [A-Za-z+]/) == true, "\(lines)")
    }

    @Test(arguments: SettingName.allCases, [" ", "\n", "\r\n", "\t", "\u{A0}", "\u{FEFF}", "\u{200B}", "\u{200F}"])
    func spaceAroundAnyValueIsAnErrorThatSaysSo(name: SettingName, space: String) {
        for value in [space + "x", "x" + space, space + "x" + space, space] {
            let lines = Fixture.problems([name.rawValue: value]).filter { $0.hasPrefix(name.rawValue + " ") }
            #expect(lines.contains { $0.contains("space") && $0.contains("Remove") }, "\(lines)")
        }
    }

    @Test(arguments: [
        ("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]:80", "::1", 80), ("0.0.0.0:1", "0.0.0.0", 1),
        ("localhost:65535", "localhost", 65535), ("[::]:9", "::", 9),
    ])
    func listensOn(text: String, host: String, port: Int) throws {
        let settings = try Fixture.settings([
            "OTPD_CALLBACK_LISTEN": text, "OTPD_CALLBACK_PUBLIC_URL": "https://sms.example.com/status/",
        ])
        #expect(settings.callbacks?.listen?.host == host)
        #expect(settings.callbacks?.listen?.port == port)
        #expect(settings.callbacks?.listen?.description == text)
        #expect(settings.callbacks?.publicURL.description == "https://sms.example.com/status")
    }

    @Test(arguments: [
        "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "::1:80", "[::1]", "[::\u{FF11}]:80", "a:b",
        "/run/x.sock",
    ])
    func doesNotListenOn(text: String) {
        let lines = Fixture.problems(["OTPD_CALLBACK_LISTEN": text, "OTPD_CALLBACK_PUBLIC_URL": "https://a.b"])
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("OTPD_CALLBACK_LISTEN is not an address to listen on;") == true)
    }

    @Test func aReceiverNeedsAPublicURLAndTheAuthToken() {
        let key = ["TWILIO_API_KEY_SID": "SK" + Fixture.sid, "TWILIO_API_KEY_SECRET": "abc"]
        let lines = Fixture.problems(
            ["OTPD_CALLBACK_LISTEN": "127.0.0.1:1", "TWILIO_AUTH_TOKEN": nil].merging(key) { $1 })
        #expect(lines.count == 2)
        #expect(lines.contains { $0.contains("without OTPD_CALLBACK_PUBLIC_URL") })
        #expect(lines.contains { $0.contains("without TWILIO_AUTH_TOKEN") })
    }

    @Test func aPublicURLAloneIsForBackendsThatReceiveCallbacksThemselves() throws {
        let callbacks = try Fixture.settings(["OTPD_CALLBACK_PUBLIC_URL": "https://a.b/c"]).callbacks
        #expect(callbacks?.listen == nil)
        #expect(callbacks?.publicURL.path == "/c")
    }

    @Test func aCAFileMustHoldACertificate() throws {
        let pem = Array("# ours\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n".utf8)
        #expect(try Fixture.settings(["OTPD_CA_FILE": "/ca"], files: ["/ca": pem]).caFile == "/ca")
        let lines = Fixture.problems(["OTPD_CA_FILE": "/ca"], files: ["/ca": Array("-----BEGIN PRIVATE KEY-----".utf8)])
        #expect(lines.first?.hasPrefix("OTPD_CA_FILE names a file without a PEM certificate") == true)
    }
}
