internal import Queue

/// Checks that the schema is one that this program works with.
enum SchemaCheck {
    static let check = Check("schema", "Schema")

    static func finding(_ state: SchemaState, newest: Int) -> Finding {
        switch state {
        case .current: check.pass("current (migration \(newest))")
        case .absent:
            check.fail(
                .configuration, "The database has no schema otp.",
                "As the schema's owner: DATABASE_URL=postgresql://owner@host/database otpd migrate up")
        case .behind(let next, let newest, true):
            check.warn(
                "The schema (migration \(next - 1)) is older than this otpd (migration \(newest)). This otpd works with it, "
                    + "but perhaps the next one does not.",
                "As the schema's owner: DATABASE_URL=postgresql://owner@host/database otpd migrate up")
        case .behind(let next, let newest, false):
            check.fail(
                .configuration,
                "The schema is behind: migration \(next) of \(newest) is not applied. Workers refuse to run.",
                "As the schema's owner: DATABASE_URL=postgresql://owner@host/database otpd migrate up")
        case .newer(let database, let program, true):
            check.warn(
                "The schema (migration \(database)) is newer than this otpd (migration \(program)). It serves this otpd, "
                    + "too, but perhaps the next schema does not.",
                "Install the otpd that migrated it. On the machine that did: otpd --version")
        case .newer(let database, let program, false):
            check.fail(
                .configuration,
                "The schema (migration \(database)) is newer than this otpd (migration \(program)). Workers of this "
                    + "version refuse to run.",
                "Install the otpd that migrated it. On the machine that did: otpd --version")
        case .changed(let version, let name):
            check.fail(
                .configuration,
                "Migration \(version) (\(name)) was applied with other contents than this otpd has.",
                "Install the otpd that applied it. To see when that was: otpd migrate status")
        }
    }
}
