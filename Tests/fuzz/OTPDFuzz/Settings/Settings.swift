import HTTP
import OTP

@testable import otpd

/// An environment of entries `NAME=VALUE` and files `@PATH=CONTENT`, separated by zeros, over correct settings. Any input
/// gives settings or problem lines, and no line contains a secret.
func fuzzSettings(_ bytes: [UInt8]) {
    // This mark ends every secret. If it appears in a line, a secret has appeared.
    let canary = "q9Zx7Kw4Vb"
    var environment = [
        "DATABASE_URL": "postgresql://otp_worker:\(canary)@db/app",
        "OTPD_SECRET": "0123456789abcdef0123456789abcdef" + canary,
        "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
        "TWILIO_AUTH_TOKEN": canary,
        "TWILIO_PHONE_NUMBER": "+15005550006",
        "OTPD_APP_NAME": "Mgask",
    ]
    var files: [String: [UInt8]] = [:]
    let secrets = Set(SettingName.allCases.filter(\.isSecret).map(\.rawValue))
    for entry in bytes.split(separator: 0) {
        let pair = Array(entry).parts(2, separator: UInt8(ascii: "="))
        let name = pair[0].text
        if name.hasPrefix("@") {
            files[String(name.dropFirst())] = pair[1] + Array(canary.utf8)
        } else if secrets.contains(name), !pair[1].isEmpty {
            environment[name] = pair[1].text + canary
        } else {
            environment[name] = pair[1].text
        }
    }
    let contents = files
    let read = { (path: String) throws -> [UInt8] in
        guard let content = contents[path] else { throw FileError(code: 2) }
        return content
    }
    let worker = Settings.worker(environment: environment, readFile: read)
    let backend = Settings.backend(environment: environment, readFile: read)
    let database = Settings.database(environment: environment, readFile: read)
    var lines = lines(worker) { $0.warnings } + lines(backend) { $0.warnings } + lines(database) { $0.warnings }
    // A line may show the path of a file without a secret, and a value that is not secret.
    let others = environment.filter { !secrets.contains($0.key) }
    if others.contains(where: { $0.value.contains(canary) || $0.key.contains(canary) }) { lines = [] }
    for line in lines { require(!line.contains(canary), "no line holds a secret") }
    guard case .success(let settings) = worker else { return }
    isSound(settings)
    // Settings that suffice for everything suffice for each part.
    guard case .success = backend, case .success = database else {
        return require(false, "the parts need no more than the whole")
    }
}

private func lines<Value>(_ result: Result<Value, SettingsProblems>, _ warnings: (Value) -> [String]) -> [String] {
    let lines: [String]
    switch result {
    case .success(let value): lines = warnings(value)
    case .failure(let problems):
        require(!problems.lines.isEmpty && problems.exitCode == .configuration, "a failure says why")
        lines = problems.lines
    }
    for line in lines {
        require(!line.isEmpty && !line.unicodeScalars.contains(where: SingleLine.mustEscape), "a line is one line")
    }
    return lines
}

private func isSound(_ settings: Settings) {
    require(settings.secrets.current.count >= CodeSecrets.minimumLength, "the secret is long enough")
    require(!settings.appName.isEmpty && settings.appName.count <= 64, "the name is bounded")
    require(
        !settings.appName.utf8.contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") || $0 < 0x20 },
        "the name has no placeholder and no control character in it")
    require(SendingSettings.maxInFlightRange.contains(settings.sending.maxInFlight), "the number in flight is bounded")
    if let rate = settings.sending.ratePerSecond { require(rate > 0 && rate.isFinite, "the rate is above 0") }
    require(settings.twilio.accountSID.utf8.count == 34, "the account's SID is one")
    require(settings.twilio.baseURL.path.isEmpty, "Twilio's address has no path")
    let address = settings.twilio.baseURL
    require(
        address.scheme == .https || settings.twilio.plainHTTP.allows(address.host), "plain http goes where it may go")
}
