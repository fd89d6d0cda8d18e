internal import Queue

/// Checks the time zone whose days the daily limits count.
enum TimeZoneCheck {
    static let check = Check("time-zone", "Time zone")

    /// `host` is this machine's zone, where it is known. `server` is the zone in which the session shows times.
    static func finding(_ zone: ReadTimeZone.Zone, server: String, host: String?) -> Finding {
        guard let time = zone.time else {
            return check.fail(
                .configuration,
                "PostgreSQL knows no time zone \(SingleLine.quoted(zone.name)), so requests and limits fail.",
                "In psql as a member of otp_admin: UPDATE otp.settings SET timezone = 'Asia/Riyadh'; For the names: SELECT "
                    + "name FROM pg_timezone_names;")
        }
        return check.pass(
            "Days begin at midnight in \(zone.name), where it is \(time). The database shows times in \(server)."
                + (host.map { " This host is in \($0), and otpd logs in UTC." } ?? ""))
    }
}
