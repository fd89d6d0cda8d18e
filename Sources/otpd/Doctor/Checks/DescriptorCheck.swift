internal import OTP

/// Checks whether the limit on open files is high enough for `OTPD_MAX_IN_FLIGHT`.
enum DescriptorCheck {
    static let check = Check("descriptors", "Open files")

    /// `limit` is this process's hard limit. A worker raises its soft limit to it.
    static func finding(limit: Int?, maxInFlight: Int?, servers: Int) -> Finding {
        guard let limit else { return check.skip("The limit on open files (RLIMIT_NOFILE) cannot be read.") }
        guard let maxInFlight else { return SettingsChecks.skip(check, "OTPD_MAX_IN_FLIGHT") }
        let plan = DescriptorPlan(limit: limit, wanted: maxInFlight, servers: servers)
        if let note = plan.note { return check.warn(Sentence.whole(note), plan.remedy) }
        return check.pass(
            "The limit of this shell is \(limit), enough for \(maxInFlight) requests at a time. The systemd unit sets its "
                + "own limit.")
    }
}
