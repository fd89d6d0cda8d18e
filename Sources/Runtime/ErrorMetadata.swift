public import Logging
public import Postgres

extension Logger.Metadata {
    /// What a line of the log says about an error of PostgreSQL: the error, and what to do where the server refused a
    /// statement. Other errors name their remedy themselves. `more` are further keys.
    public static func of(_ error: PostgresError, _ more: Self = [:]) -> Self {
        var metadata = more
        metadata[LogKeys.error] = "\(error)"
        if case .server(let refusal) = error { metadata[LogKeys.remedy] = "\(refusal.remedy)" }
        return metadata
    }
}
