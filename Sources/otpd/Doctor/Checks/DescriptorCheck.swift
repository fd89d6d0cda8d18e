/// The limit on open files, held against `OTPD_MAX_IN_FLIGHT`.
enum DescriptorCheck {
    static let check = Check("descriptors", "Open files")

    /// `limit` is the hard one of this process: a worker raises its soft limit to it.
    static func finding(limit: Int?, maxInFlight: Int?, servers: Int) -> Finding {
        guard let limit else { return check.skip("the limit on open files (RLIMIT_NOFILE) cannot be read") }
        guard let maxInFlight else { return SettingsChecks.skip(check, "OTPD_MAX_IN_FLIGHT") }
        let plan = DescriptorPlan(limit: limit, wanted: maxInFlight, servers: servers)
        if let note = plan.note { return check.warn(note, plan.remedy) }
        return check.pass(
            "the limit here is \(limit), which is enough for \(maxInFlight) requests at a time; the unit sets its own")
    }
}
