internal import OTP
internal import Queue

/// The secret that seals and hashes codes: shared with the web tier, never in the database.
struct CodeSecrets: Equatable, Sendable {
    let current: Secret
    /// What rows written before a rotation are sealed with.
    let previous: Secret?

    static let minimumLength = 32
    /// A random value of that length has more; 32 zeros, or `ab` sixteen times, have not.
    static let minimumVariety = 8

    /// What opens codes that are sealed under them.
    var keys: CodeKeys { CodeKeys(current, previous: previous) }

    static func read(_ reader: inout SettingsReader) -> CodeSecrets? {
        let found = reader.find(.secret)
        if found.isAbsent {
            reader.report(
                .secret, "is not set; make one with: openssl rand -hex 32, and give the same one to the web tier")
        }
        let current = found.value.flatMap { reader.parse($0, .secret, secret) }
        let previous = reader.parse(.secretPrevious, secret)
        guard let current else { return nil }
        if current == previous {
            reader.warn("OTPD_SECRET_PREVIOUS is the same as OTPD_SECRET; unset it, nothing is being rotated")
        }
        return CodeSecrets(current: current, previous: previous)
    }

    /// 32 or more of `A-Z a-z 0-9 - _`: it passes connection strings, service files and shells unquoted.
    static func secret(_ text: String) throws(InvalidValue) -> Secret {
        guard text.utf8.allSatisfy(isAllowed) else {
            throw InvalidValue("has characters other than A-Z a-z 0-9 - _; make one with: openssl rand -hex 32")
        }
        guard text.utf8.count >= minimumLength else {
            throw InvalidValue(
                "has \(text.utf8.count) characters and needs \(minimumLength); make one with: openssl rand -hex 32")
        }
        guard Set(text.utf8).count >= minimumVariety else {
            throw InvalidValue(
                "has fewer than \(minimumVariety) different characters, which is no random value; make one with: openssl "
                    + "rand -hex 32")
        }
        let plain = text.lowercased().filter { $0 != "-" && $0 != "_" }
        guard !placeholders.contains(where: { plain.contains($0) }) else {
            throw InvalidValue("is a placeholder, which others know too; make one with: openssl rand -hex 32")
        }
        return Secret(text)
    }

    /// What stands in examples for a value of one's own. No random value of this length has one by chance.
    private static let placeholders = [
        "changeme", "changethis", "replaceme", "yoursecret", "placeholder", "secretsecret", "insertsecret",
    ]

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
