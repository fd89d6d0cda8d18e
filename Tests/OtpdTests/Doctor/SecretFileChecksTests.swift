import Glibc
import TestSupport
import Testing

@testable import otpd

@Suite struct SecretFileChecksTests {
    private func finding(_ mode: UInt32, group: String = "root", isReachable: Bool = true) -> Finding {
        let facts = FileFacts(mode: mode, owner: "root", group: group, isReachable: isReachable)
        return SecretFileChecks.findings([.init(name: "OTPD_SECRET", path: "/etc/otpd/secret", facts: facts)])[0]
    }

    @Test(arguments: [0o600, 0o400, 0o440, 0o640, 0o700] as [UInt32])
    func keptClose(mode: UInt32) { #expect(finding(mode, group: "otpd-secrets").verdict == .pass) }

    @Test(arguments: [0o644, 0o604, 0o664, 0o666, 0o620, 0o602, 0o777, 0o660] as [UInt32])
    func openToOthers(mode: UInt32) {
        let finding = finding(mode)
        #expect(finding.verdict == .fail(.privileges))
        #expect(finding.remedy?.hasPrefix("Withdraw the permission: chmod ") == true)
        #expect(finding.remedy?.contains("\"/etc/otpd/secret\"") == true)
    }

    @Test func aFolderThatKeepsOthersOutMakesItAWarning() {
        #expect(finding(0o644, isReachable: false).verdict == .warn)
        // Who may write into it has got there already.
        #expect(finding(0o646, isReachable: false).verdict == .fail(.privileges))
    }

    @Test func aGroupThatManyAreIn() {
        #expect(finding(0o640, group: "users").verdict == .warn)
        #expect(finding(0o600, group: "users").verdict == .pass)
        #expect(finding(0o640).found.contains("0640 root:root"))
    }

    @Test func nothingToLookAt() {
        #expect(SecretFileChecks.findings([]).map(\.verdict) == [.pass])
        let hidden = SecretFileChecks.Source(name: "OTPD_SECRET", path: "/root/x", facts: nil)
        #expect(SecretFileChecks.findings([hidden]).map(\.verdict) == [.skip])
    }

    @Test func theEnvironmentIsANote() {
        #expect(SecretFileChecks.environmentFinding(["OTPD_SECRET": ""]).found == "none")
        let finding = SecretFileChecks.environmentFinding(Fixture.environment)
        #expect(finding.verdict == .pass)
        #expect(finding.found.hasPrefix("DATABASE_URL, OTPD_SECRET, TWILIO_AUTH_TOKEN:"))
        #expect(!finding.found.contains(Fixture.secret) && !finding.found.contains(Fixture.token))
    }

    /// Which files are looked at, and what stat(2) says of them.
    @Test func filesAreThoseThatTheSettingsReadFrom() throws {
        let folder = try Files.makeFolder()
        defer { rmdir(folder) }
        let (token, secret) = (folder + "/token", folder + "/otpd_secret")
        for path in [token, secret] { close(open(path, O_CREAT | O_WRONLY, 0o600)) }
        defer { for path in [token, secret] { unlink(path) } }
        chmod(token, 0o644)
        let environment = [
            "TWILIO_AUTH_TOKEN_FILE": token, "OTPD_SECRET_PREVIOUS_FILE": folder + "/none",
            "DATABASE_URL_FILE": secret, "DATABASE_URL": "host=x", "CREDENTIALS_DIRECTORY": folder,
        ]
        let sources = FileReading.sources(environment).filter { $0.path.hasPrefix(folder) }
        #expect(
            sources.map { "\($0.name) \($0.path.dropFirst(folder.count))" }.sorted() == [
                "OTPD_SECRET /otpd_secret", "OTPD_SECRET_PREVIOUS /none", "TWILIO_AUTH_TOKEN /token",
            ])
        let facts = try #require(sources.first { $0.path == token }?.facts)
        #expect(facts.mode == 0o644)
        // The folder is its maker's alone.
        #expect(!facts.isReachable)
        chmod(folder, 0o755)
        #expect(FileReading.facts(token)?.isReachable == true)
        #expect(sources.first { $0.path.hasSuffix("none") }?.facts == nil)
    }
}
