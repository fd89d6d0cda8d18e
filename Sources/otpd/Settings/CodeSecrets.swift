internal import OTP
internal import Queue

/// The secret that seals and hashes codes. Backends have the same secret, and the database never stores it.
struct CodeSecrets: Equatable, Sendable {
    let current: Secret
    /// The secret that sealed rows from before a rotation.
    let previous: Secret?

    static let minimumLength = 32
    /// The least number of different characters. A random value of the minimum length has more. 32 zeros have fewer.
    static let minimumVariety = 8

    /// The keys that open codes sealed with these secrets.
    var keys: CodeKeys { CodeKeys(current, previous: previous) }

    static func read(_ reader: inout SettingsReader) -> CodeSecrets? {
        let found = reader.find(.secret)
        if found.isAbsent {
            reader.report(
                .secret, "is not set. Give otpd and your backend the same value. Make one: openssl rand -hex 32")
        }
        let current = found.value.flatMap { reader.parse($0, .secret, secret) }
        let previous = reader.parse(.secretPrevious, secret)
        guard let current else { return nil }
        if current == previous {
            reader.warn("OTPD_SECRET_PREVIOUS is the same as OTPD_SECRET. Unset it when the secret does not change.")
        }
        return CodeSecrets(current: current, previous: previous)
    }

    /// Parses 32 or more of `A-Z a-z 0-9 - _`. Connection strings, service files and shells take these without quotes.
    static func secret(_ text: String) throws(InvalidValue) -> Secret {
        guard text.utf8.allSatisfy(isAllowed) else {
            throw InvalidValue("has characters other than A-Z a-z 0-9 - _ in it. Make one: openssl rand -hex 32")
        }
        guard text.utf8.count >= minimumLength else {
            throw InvalidValue(
                "has \(text.utf8.count) characters and needs \(minimumLength) or more. Make one: openssl rand -hex 32")
        }
        guard Set(text.utf8).count >= minimumVariety else {
            throw InvalidValue(
                "has fewer than \(minimumVariety) different characters, so it is no random value. Make one: openssl "
                    + "rand -hex 32")
        }
        let plain = text.lowercased().filter { $0 != "-" && $0 != "_" }
        guard !placeholders.contains(where: { plain.contains($0) }) else {
            throw InvalidValue("is a placeholder, so it is no secret. Make one: openssl rand -hex 32")
        }
        return Secret(text)
    }

    /// Words that examples use in place of a real value. A random value practically never contains one.
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
