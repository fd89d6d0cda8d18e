internal import Postgres

extension Check {
    /// The finding for a failed reading of the database.
    ///
    /// - Parameter isExplained: whether roles or grants are known to be wrong. Then a refusal is skipped.
    func unread(
        _ error: PostgresError, isExplained: Bool = false, _ remedies: Remedies = Remedies()
    ) -> Finding {
        switch error {
        case .server(let refusal):
            switch refusal.sqlstate {
            case "42501" where isExplained:
                return skip("PostgreSQL refuses to read it (see the role and the grants above): \(refusal.message)")
            case "42501":
                return fail(
                    .privileges, "PostgreSQL refuses to read it: \(refusal.message)",
                    remedies.administrator("GRANT otp_worker TO ROLE; ROLE is the role of DATABASE_URL."))
            case "3F000", "42P01", "42703", "42883":
                return skip("This check needs the current schema: \(refusal.message)")
            default: return fail(.unreachable, "\(refusal)", "Read PostgreSQL's log.")
            }
        case .settings, .connect, .lost, .deadline, .canceled:
            return skip("The database did not answer: \(error.brief)")
        case .unsuitable(let reason):
            return fail(
                .configuration, reason,
                "Restore the database from a backup. Or, as the schema's owner: otpd migrate down; otpd migrate up")
        case .misuse: return fail(.configuration, "\(error)", "This is an error in otpd. Please report it.")
        }
    }
}

extension PostgresError {
    /// What happened, without the fate of the statement: the statements of `otpd doctor` only read.
    var brief: String {
        switch self {
        case .lost(let loss): loss.lastError?.message ?? loss.reason
        case .deadline: "no answer in time"
        case .server(let refusal): refusal.message
        case .settings, .connect, .canceled, .unsuitable, .misuse: "\(self)"
        }
    }
}
