internal import OTP

@testable import otpd

/// A configuration that is right, to be made wrong one variable at a time.
enum Fixture {
    static let sid = String(repeating: "0123456789abcdef", count: 2)
    static let accountSID = "AC" + sid
    static let token = "f00dfeed" + String(repeating: "1", count: 24)
    static let secret = String(repeating: "s3cret-_", count: 4)

    static let environment = [
        "DATABASE_URL": "postgresql://otp_worker:hunter2@db/app",
        "OTPD_SECRET": secret,
        "TWILIO_ACCOUNT_SID": accountSID,
        "TWILIO_AUTH_TOKEN": token,
        "TWILIO_PHONE_NUMBER": "+15005550006",
        "OTPD_APP_NAME": "Mgask",
        "PATH": "/usr/bin",
    ]

    static func environment(_ changes: [String: String?]) -> [String: String] {
        var environment = environment
        for (name, value) in changes { environment[name] = value }
        return environment
    }

    /// Reads with the given files and no others.
    static func read(
        _ changes: [String: String?] = [:], files: [String: [UInt8]] = [:]
    ) -> Result<Settings, SettingsProblems> {
        Settings.worker(environment: environment(changes), readFile: reader(files))
    }

    static func reader(_ files: [String: [UInt8]]) -> (String) throws -> [UInt8] {
        { path in
            guard let bytes = files[path] else { throw FileError(code: 2) }
            return bytes
        }
    }

    static func settings(_ changes: [String: String?] = [:], files: [String: [UInt8]] = [:]) throws -> Settings {
        try read(changes, files: files).get()
    }

    static func problems(_ changes: [String: String?] = [:], files: [String: [UInt8]] = [:]) -> [String] {
        switch read(changes, files: files) {
        case .success: []
        case .failure(let problems): problems.lines
        }
    }
}

extension Secret {
    /// What is inside, for comparison in tests.
    var revealed: String {
        withBytes { span in
            var bytes: [UInt8] = []
            for index in span.indices { bytes.append(span[index]) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
