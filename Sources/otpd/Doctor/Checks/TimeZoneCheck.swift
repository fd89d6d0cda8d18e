internal import Queue

/// The time zone whose days the daily limits are.
enum TimeZoneCheck {
    static let check = Check("time-zone", "Time zone")

    /// `host` is this machine's, where it can be told; `server` what the session shows times in.
    static func finding(_ zone: ReadTimeZone.Zone, server: String, host: String?) -> Finding {
        guard let time = zone.time else {
            return check.fail(
                .configuration,
                "PostgreSQL knows no zone called \(SingleLine.quoted(zone.name)): requests and limits fail",
                "In psql as a member of otp_admin: UPDATE otp.settings SET timezone = 'Asia/Riyadh'; (names: SELECT name "
                    + "FROM pg_timezone_names)")
        }
        return check.pass(
            "days begin at midnight of \(zone.name), where it is \(time); times are shown in \(server)"
                + (host.map { ", this host's logs are UTC, the host is in \($0)" } ?? ""))
    }
}
