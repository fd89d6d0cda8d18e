/// A step that a database says it has.
public struct AppliedMigration: Sendable, Equatable {
    public var version: Int
    public var name: String
    /// SHA-256 of the SQL that was run, in hex; nil when psql ran the file and not otpd.
    public var checksum: String?
    /// When, as the database prints it.
    public var appliedAt: String

    public init(version: Int, name: String, checksum: String?, appliedAt: String) {
        self.version = version
        self.name = name
        self.checksum = checksum
        self.appliedAt = appliedAt
    }
}

/// How a database's schema stands to this program. Pure.
public enum SchemaState: Sendable, Equatable {
    /// Exactly what this program expects.
    case current
    /// Nothing has been migrated.
    case absent
    /// Steps are missing, from this one on.
    case behind(next: Int, newest: Int)
    /// The database has steps that this program does not know.
    case newer(database: Int, program: Int)
    /// A step was run with other contents than this program has.
    case changed(version: Int, name: String)

    /// Compares what is applied with what is known.
    public static func of(applied: [AppliedMigration], known: [Migration] = Migration.all) -> SchemaState {
        guard let newestApplied = applied.map(\.version).max() else { return .absent }
        let newestKnown = known.map(\.version).max() ?? 0
        if newestApplied > newestKnown { return .newer(database: newestApplied, program: newestKnown) }
        let byVersion = Dictionary(applied.map { ($0.version, $0) }) { first, _ in first }
        for migration in known {
            guard let step = byVersion[migration.version] else {
                return .behind(next: migration.version, newest: newestKnown)
            }
            if let checksum = step.checksum, checksum != migration.checksum {
                return .changed(version: migration.version, name: migration.name)
            }
        }
        return .current
    }

    /// Whether a worker may run on it.
    public var isUsable: Bool { self == .current }

    /// What is wrong and what to do, in one line; for `.current` what is right.
    public var message: String {
        switch self {
        case .current:
            "The schema is current."
        case .absent:
            "The database has no otp schema. Run: otpd migrate up"
        case .behind(let next, let newest):
            "The schema is behind: step \(next) of \(newest) has not been applied. Run: otpd migrate up"
        case .newer(let database, let program):
            "The schema is newer (step \(database)) than this otpd (step \(program)). "
                + "Install the otpd that migrated it, or a later one."
        case .changed(let version, let name):
            "Step \(version) (\(name)) was applied with other contents than this otpd has. "
                + "Find out who changed migrations/ after it was released; otpd will not touch this database."
        }
    }
}
