internal import Postgres

extension Check {
    /// What could not be read of the database, as a finding: one thing that can't be read hides no other.
    ///
    /// - Parameter isExplained: whether roles or grants are known to be wrong: then a refusal is no finding of its own.
    func unread(_ error: PostgresError, isExplained: Bool = false) -> Finding {
        switch error {
        case .server(let refusal):
            switch refusal.sqlstate {
            case "42501" where isExplained:
                return skip("it may not be read: \(refusal.message); see the role and the grants above")
            case "42501":
                return fail(
                    .privileges, "PostgreSQL refuses to show it: \(refusal.message)",
                    "In psql as a superuser: GRANT otp_worker TO the role of DATABASE_URL; see also the grants here.")
            case "3F000", "42P01", "42703", "42883":
                return skip("that takes the current schema: \(refusal.message)")
            default: return fail(.unreachable, "\(refusal)", "Look at PostgreSQL's log.")
            }
        case .settings, .connect, .lost, .deadline, .canceled:
            return skip("the database did not answer: \(error.brief)")
        case .unsuitable(let reason):
            return fail(
                .configuration, reason, "Restore it from a backup, or as the schema's owner: otpd migrate down, up.")
        case .misuse: return fail(.configuration, "\(error)", "Report it: this is a mistake in otpd.")
        }
    }
}

extension PostgresError {
    /// What happened, without what it means for a statement that writes: here all of them read.
    var brief: String {
        switch self {
        case .lost(let loss): loss.farewell?.message ?? loss.reason
        case .deadline: "no answer in the time there was"
        case .server(let refusal): refusal.message
        case .settings, .connect, .canceled, .unsuitable, .misuse: "\(self)"
        }
    }
}
