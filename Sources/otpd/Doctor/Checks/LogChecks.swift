internal import Queue

/// Checks that PostgreSQL's log gets neither the phone numbers nor the codes of backends' statements.
enum LogChecks {
    static let failing = Check("log-failing-statements", "Log: failing statements")
    static let parameters = Check("log-parameters", "Log: bind parameters")
    static let all = [failing, parameters]

    static func failing(_ read: ReadConcealment.Concealment, _ remedies: Remedies = Remedies()) -> Finding {
        let owner = Remedies.identifier(read.owner)
        let grant = "GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO \(owner);"
        switch (read.isOn, read.ownerMay) {
        case (true, true): return failing.pass("The functions keep failing statements out of PostgreSQL's log.")
        case (true, false):
            return failing.fail(
                .privileges,
                "The functions keep failing statements out of the log, but \(read.owner) may not set the parameters for "
                    + "it. PostgreSQL refuses every call.",
                remedies.administrator(grant))
        case (false, true):
            return failing.warn(
                "PostgreSQL logs a backend's failing statements with their phone numbers and codes.",
                "In psql as a superuser or as \(read.owner): SELECT otp.conceal_statements();")
        case (false, false):
            if read.isConcealedBySettings {
                return failing.pass("log_min_error_statement keeps failing statements out of PostgreSQL's log.")
            }
            // The grant needs a superuser, and a provider's users are none.
            guard remedies.provider == nil else {
                return failing.warn(
                    "PostgreSQL logs a backend's failing statements with the phone numbers and codes that are literals in "
                        + "them. Bind parameters stay out of the log while log_parameter_max_length_on_error is 0.",
                    remedies.concealed(roles: read.loggedRoles))
            }
            return failing.warn(
                "PostgreSQL logs a backend's failing statements with their phone numbers and codes.",
                remedies.administrator("\(grant) SELECT otp.conceal_statements();"))
        }
    }

    static func parameters(
        _ read: ReadConcealment.Concealment, stored: [ReadStoredSettings.Entry], _ remedies: Remedies = Remedies()
    ) -> Finding {
        guard read.parameterLengthOnError == 0 else {
            return parameters.warn(
                "log_parameter_max_length_on_error is not 0, so PostgreSQL logs the parameters of failing statements.",
                remedies.provider == nil
                    ? remedies.reset(["log_parameter_max_length_on_error": "0"])
                    : remedies.sessions("log_parameter_max_length_on_error", "0"))
        }
        let logs = read.logsDurations || read.logStatement == "all" || read.logStatement == "mod"
        guard logs else { return parameters.pass("PostgreSQL does not log statements.") }
        let open = read.webRoles.filter { role in
            let own = stored.last { $0.role == role && $0.name == "log_parameter_max_length" }?.value
            return own.map { $0 != "0" && $0 != "0B" } ?? (read.parameterLength != 0)
        }
        guard !open.isEmpty else {
            return parameters.pass("PostgreSQL logs statements, but not the parameters of backends.")
        }
        return parameters.warn(
            "PostgreSQL logs statements with their parameters, which are phone numbers and codes. The roles: "
                + "\(open.joined(separator: ", ")).",
            remedies.withoutParameters(roles: open))
    }
}
