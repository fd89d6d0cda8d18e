internal import Queue

/// PostgreSQL's log: neither numbers nor codes of backends' statements get into it.
enum LogChecks {
    static let failing = Check("log-failing-statements", "Log: failing statements")
    static let parameters = Check("log-parameters", "Log: bind parameters")
    static let all = [failing, parameters]

    static func failing(_ read: ReadConcealment.Concealment) -> Finding {
        let owner = RoleChecks.identifier(read.owner)
        let grant = "GRANT SET ON PARAMETER log_min_error_statement, log_error_verbosity TO \(owner);"
        switch (read.isOn, read.ownerMay) {
        case (true, true): return failing.pass("the functions keep them out")
        case (true, false):
            return failing.fail(
                .privileges,
                "the functions keep them out, but \(read.owner) may not set what that takes: every call is refused",
                "In psql as a superuser: \(grant)")
        case (false, true):
            return failing.warn(
                "a statement of a backend's that fails is logged with its number and code",
                "In psql as a superuser or \(read.owner): SELECT otp.conceal_statements();")
        case (false, false):
            return failing.warn(
                "a statement of a backend's that fails is logged with its number and code",
                "In psql as a superuser: \(grant) SELECT otp.conceal_statements();")
        }
    }

    static func parameters(
        _ read: ReadConcealment.Concealment, stored: [ReadStoredSettings.Entry]
    ) -> Finding {
        guard read.parameterLengthOnError == 0 else {
            return parameters.warn(
                "log_parameter_max_length_on_error is not 0: bind parameters of failing statements are logged",
                "In psql as a superuser: ALTER SYSTEM RESET log_parameter_max_length_on_error; SELECT pg_reload_conf();"
            )
        }
        let logs = read.logsDurations || read.logStatement == "all" || read.logStatement == "mod"
        guard logs else { return parameters.pass("statements are not logged") }
        let open = read.webRoles.filter { role in
            let own = stored.last { $0.role == role && $0.name == "log_parameter_max_length" }?.value
            return own.map { $0 != "0" && $0 != "0B" } ?? (read.parameterLength != 0)
        }
        guard !open.isEmpty else { return parameters.pass("statements are logged, without the web tier's parameters") }
        let statements = open.map { "ALTER ROLE \(RoleChecks.identifier($0)) SET log_parameter_max_length = 0;" }
        return parameters.warn(
            "statements are logged with their bind parameters, which are numbers and codes: \(open.joined(separator: ", "))",
            "In psql as a superuser: \(statements.joined(separator: " "))")
    }
}
