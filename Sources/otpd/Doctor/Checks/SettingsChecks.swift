/// Checks the settings. Each problem and each warning is a finding.
enum SettingsChecks {
    static let check = Check("settings", "Settings")

    static func findings(_ parts: Settings.Parts) -> [Finding] {
        guard !parts.problems.isEmpty || !parts.warnings.isEmpty else {
            return [check.pass("All needed settings are set and valid.")]
        }
        let remedy = "Correct the setting: sudoedit /etc/otpd/otpd.env. Then restart otpd: systemctl restart otpd"
        return parts.problems.map { check.fail(.configuration, $0, remedy) }
            + parts.warnings.map { check.warn($0, remedy) }
    }

    /// The variables that otpd removed from its environment when it started.
    static func removed(_ names: [String]) -> [Finding] {
        guard !names.isEmpty else { return [] }
        return [
            check.warn(
                "otpd does not use these variables of libraries, and removed them: \(names.joined(separator: ", ")).",
                LibraryVariables.remedy)
        ]
    }

    /// Skips a check that needs an invalid setting.
    static func skip(_ check: Check, _ what: String, is verb: String = "is") -> Finding {
        check.skip(unusable(what, is: verb))
    }

    /// Why a check was skipped whose setting is invalid.
    static func unusable(_ what: String, is verb: String = "is") -> String {
        "\(what) \(verb) missing or invalid, see the settings above."
    }
}
