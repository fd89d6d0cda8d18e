internal import Queue

/// Checks that the roles exist, and that the login role has the grants that it needs and no others.
enum RoleChecks {
    static let roles = Check("roles", "Roles")
    static let login = Check("login-role", "Login role")
    static let grants = Check("grants", "Grants")
    static let all = [roles, login, grants]

    static func roles(_ role: ReadRole.Role, _ remedies: Remedies = Remedies()) -> Finding {
        guard role.missing.isEmpty else {
            let names = role.missing.joined(separator: ", ")
            return roles.fail(
                .configuration, "These roles do not exist: \(names).",
                remedies.administrator(
                    "\(role.missing.map { "CREATE ROLE \($0);" }.joined(separator: " ")) Then, as the schema's owner: "
                        + "otpd migrate up. After a restore, also restore the dump of pg_dumpall --globals-only"))
        }
        return roles.pass("otp_web, otp_worker, otp_monitor and otp_admin exist.")
    }

    static func login(_ role: ReadRole.Role, _ remedies: Remedies = Remedies()) -> Finding {
        let name = Remedies.identifier(role.name)
        guard !role.isSuperuser else {
            return login.warn(
                "The role \(role.name) is a superuser, so an attacker in otpd would control the whole cluster.",
                role.name == "otpd"
                    ? "In psql as another superuser: ALTER ROLE otpd NOSUPERUSER; GRANT otp_worker TO otpd;"
                    : "In psql: CREATE ROLE otpd LOGIN IN ROLE otp_worker; Set its password with \\password otpd, and name "
                        + "the role in DATABASE_URL.")
        }
        guard role.isMember else {
            return login.fail(
                .privileges, "The role \(role.name) is no member of otp_worker, so it may not claim jobs.",
                remedies.administrator("GRANT otp_worker TO \(name);"))
        }
        guard role.isWorker else {
            return login.fail(
                .privileges, "The role \(role.name) is a member of otp_worker, but does not inherit its privileges.",
                remedies.administrator(
                    "ALTER ROLE \(name) INHERIT; From PostgreSQL 16 on: GRANT otp_worker TO \(name) WITH INHERIT TRUE;")
            )
        }
        let excess = role.dangerous + role.attributes
        guard excess.isEmpty else {
            let statements =
                role.dangerous.map { "REVOKE \($0) FROM \(name);" }
                + role.attributes.map { "ALTER ROLE \(name) NO\($0);" }
            return login.warn(
                "The role \(role.name) has more rights than a worker needs: \(excess.joined(separator: ", ")).",
                remedies.administrator(statements.joined(separator: " ")))
        }
        return login.pass("\(role.name), a member of otp_worker")
    }

    static func grants(_ missing: [WorkerGrant]) -> Finding {
        guard !missing.isEmpty else { return grants.pass("otp_worker and otp_web have all grants that they need.") }
        let shown = missing.prefix(5).map { "\($0.statement);" }.joined(separator: " ")
        let lacks = [("otp_worker", WorkerGrant.all.count), ("otp_web", WorkerGrant.web.count)].compactMap {
            role, all in
            let count = missing.count { $0.role == role }
            return count == 0 ? nil : "\(role) lacks \(count) of its \(all) grants."
        }
        let rest = missing.count > 5 ? " There are \(missing.count - 5) more: see the GRANTs in migrations/." : ""
        return grants.fail(
            .privileges, lacks.joined(separator: " "),
            "In psql as the schema's owner: \(shown)\(rest)")
    }
}
