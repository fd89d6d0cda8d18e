internal import Queue

/// Checks that no catalog of the database stores the secret, and that backends use the same one.
enum SealChecks {
    static let stored = Check("secret-stored", "otp.secret not stored")
    static let agrees = Check("secret-agrees", "otp.secret of backends")
    static let all = [stored, agrees]

    static func stored(_ entries: [ReadStoredSettings.Entry], _ remedies: Remedies = Remedies()) -> Finding {
        let secrets = entries.filter { $0.name.hasPrefix("otp.") }
        guard !secrets.isEmpty else { return stored.pass("No role and no database stores it.") }
        let places = secrets.map { "\($0.name) of \(place($0))" }.joined(separator: ", ")
        let statements = secrets.map(reset)
        return stored.fail(
            .configuration,
            "The catalog stores it, where every role can read it, and a dump of the globals holds it: \(places).",
            remedies.administrator(
                "\(statements.joined(separator: " ")) Then change the secret: see deploy/docs/settings.md."))
    }

    /// The statement that removes a stored setting.
    static func reset(_ entry: ReadStoredSettings.Entry) -> String {
        let inDatabase = entry.database.map { " IN DATABASE \(Remedies.identifier($0))" } ?? ""
        return switch (entry.role, entry.database) {
        case (let role?, _): "ALTER ROLE \(Remedies.identifier(role))\(inDatabase) RESET \(entry.name);"
        case (nil, let database?): "ALTER DATABASE \(Remedies.identifier(database)) RESET \(entry.name);"
        case (nil, nil): "ALTER ROLE ALL RESET \(entry.name);"
        }
    }

    /// Where a setting is stored: `role web in database app`.
    static func place(_ entry: ReadStoredSettings.Entry) -> String {
        switch (entry.role, entry.database) {
        case (let role?, let database?): "role \(role) in database \(database)"
        case (let role?, nil): "role \(role)"
        case (nil, let database?): "database \(database)"
        case (nil, nil): "all roles"
        }
    }

    /// `own` are the key ids of OTPD_SECRET and OTPD_SECRET_PREVIOUS.
    static func agrees(_ seals: [ReadSeals.Seals], own: [String]) -> Finding {
        let recent = seals.reduce(0) { $0 + $1.count }
        let foreign = seals.filter { !own.contains($0.keyID) }
        guard let newest = foreign.map(\.newestAge).min() else {
            return recent == 0
                ? agrees.pass("There is no code of the last ten minutes to compare.")
                : agrees.pass("otpd can open all \(recent) codes of the last ten minutes.")
        }
        let count = foreign.reduce(0) { $0 + $1.count }
        return agrees.warn(
            "\(count) of \(recent) codes of the last ten minutes are sealed with another secret than OTPD_SECRET and "
                + "OTPD_SECRET_PREVIOUS, the newest \(Words.age(newest)) ago. otpd cannot send them.",
            "Set the same secret for otpd and all backends, and restart them. To compare key ids without showing the "
                + "secret: printf 'otp key id %s' \"$OTPD_SECRET\" | sha256sum | cut -c1-16")
    }
}

/// Formats times for people.
enum Words {
    /// `42 s`, `5 min`, `3 h`, `2 days`.
    static func age(_ seconds: Double) -> String {
        let whole = Int(max(0, seconds).rounded())
        return switch whole {
        case ..<120: "\(whole) s"
        case ..<7_200: "\(whole / 60) min"
        case ..<172_800: "\(whole / 3_600) h"
        default: "\(whole / 86_400) days"
        }
    }

    /// The amount of the seconds with two decimals: `1.25 s`.
    static func seconds(_ seconds: Double) -> String {
        let hundredths = Int((abs(seconds) * 100).rounded())
        let digits = hundredths % 100
        return "\(hundredths / 100).\(digits < 10 ? "0" : "")\(digits) s"
    }
}
