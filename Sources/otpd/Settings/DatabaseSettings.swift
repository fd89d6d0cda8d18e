internal import OTP
internal import Postgres

/// Where the database is.
struct DatabaseSettings: Equatable, Sendable {
    /// A libpq connection URI or `key=value` string: it may hold a password. Nil for libpq's own `PG*` variables and
    /// defaults.
    let connection: Secret?

    /// What libpq would refuse is a problem of the settings, of its own variables too: else each attempt to connect would
    /// fail, and be repeated for ever.
    static func read(_ reader: inout SettingsReader) -> DatabaseSettings {
        let found = reader.find(.databaseURL)
        if case .broken = found { return DatabaseSettings(connection: nil) }
        let problems = ConnectionSettings.problems(
            found.value ?? "", environment: reader.environment, isMissing: reader.whyUnreadable)
        for problem in problems { reader.report(problem.variable, problem.reason) }
        return DatabaseSettings(connection: found.value.map { Secret($0) })
    }
}
