internal import OTP
internal import Postgres

/// The address of the database.
struct DatabaseSettings: Equatable, Sendable {
    /// A libpq connection URI or `key=value` string, which may hold a password. Nil for libpq's own `PG*` variables and
    /// defaults.
    let connection: Secret?

    /// Reads the settings, and reports every value that libpq would refuse, in its own variables too. Without this
    /// check, a worker would try in vain to connect, without end.
    static func read(_ reader: inout SettingsReader) -> DatabaseSettings {
        let found = reader.find(.databaseURL)
        if case .broken = found { return DatabaseSettings(connection: nil) }
        let problems = ConnectionSettings.problems(
            found.value ?? "", environment: reader.environment, isMissing: reader.whyUnreadable)
        for problem in problems { reader.report(problem.variable, problem.reason) }
        return DatabaseSettings(connection: found.value.map { Secret($0) })
    }
}
