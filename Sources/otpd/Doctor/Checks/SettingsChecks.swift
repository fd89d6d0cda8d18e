/// The settings: every problem and every warning of theirs, a line each.
enum SettingsChecks {
    static let check = Check("settings", "Settings")

    static func findings(_ parts: Settings.Parts) -> [Finding] {
        guard !parts.problems.isEmpty || !parts.warnings.isEmpty else {
            return [check.pass("all that are needed are there and well-formed")]
        }
        let remedy = "Correct it in otpd.env or where it is set (sudoedit /etc/otpd/otpd.env), then restart otpd."
        return parts.problems.map { check.fail(.configuration, $0, remedy) }
            + parts.warnings.map { check.warn($0, remedy) }
    }

    /// Variables that otpd took out of its environment when it started.
    static func removed(_ names: [String]) -> [Finding] {
        guard !names.isEmpty else { return [] }
        return [
            check.warn(
                "otpd does not use these variables of libraries and removed them: \(names.joined(separator: ", "))",
                LibraryVariables.remedy)
        ]
    }

    /// What a check that needs a broken setting says of itself.
    static func skip(_ check: Check, _ what: String) -> Finding {
        check.skip("\(what) can't be used, see the settings above")
    }
}
