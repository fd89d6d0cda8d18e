internal import Queue

/// The schema's version: exactly what this program was built for.
enum SchemaCheck {
    static let check = Check("schema", "Schema")

    static func finding(_ state: SchemaState, newest: Int) -> Finding {
        switch state {
        case .current: check.pass("current (step \(newest))")
        case .absent:
            check.fail(
                .configuration, "the database has no otp schema",
                "As the schema's owner: DATABASE_URL=postgresql://owner@host/database otpd migrate up")
        case .behind(let next, let newest):
            check.fail(
                .configuration, "it is behind: step \(next) of \(newest) has not been applied; workers refuse to run",
                "As the schema's owner: DATABASE_URL=postgresql://owner@host/database otpd migrate up")
        case .newer(let database, let program):
            check.fail(
                .configuration,
                "it is newer (step \(database)) than this otpd (step \(program)); workers refuse to run",
                "Install the otpd that migrated it: otpd --version, on the machine that did")
        case .changed(let version, let name):
            check.fail(
                .configuration, "step \(version) (\(name)) was applied with other contents than this otpd has",
                "See who applied it when: otpd migrate status. Install the otpd that it came with.")
        }
    }
}
