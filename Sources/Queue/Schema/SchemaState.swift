/// A migration that a database has applied.
public struct AppliedMigration: Sendable, Equatable {
    public var version: Int
    public var name: String
    /// SHA-256 of the SQL that was run, in hex; nil if psql ran the file instead of otpd.
    public var checksum: String?
    /// The time, as the database prints it.
    public var appliedAt: String

    public init(version: Int, name: String, checksum: String?, appliedAt: String) {
        self.version = version
        self.name = name
        self.checksum = checksum
        self.appliedAt = appliedAt
    }
}

/// The state of a database's schema in relation to this program. Pure.
public enum SchemaState: Sendable, Equatable {
    /// Exactly the schema that this program expects.
    case current
    /// No migration was applied.
    case absent
    /// Migrations are missing, from this one on.
    case behind(next: Int, newest: Int)
    /// The database has migrations that this program does not know.
    case newer(database: Int, program: Int)
    /// A migration was applied with another text than this program has.
    case changed(version: Int, name: String)

    /// Compares the applied migrations with the known ones.
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

    /// The problem and the remedy in one line; for `.current`, a confirmation.
    public var message: String {
        switch self {
        case .current:
            "The schema is current."
        case .absent:
            "the database has no otp schema. Run otpd migrate up."
        case .behind(let next, let newest):
            "the schema is behind: migration \(next) of \(newest) has not been applied. Run otpd migrate up."
        case .newer(let database, let program):
            "the schema is newer (migration \(database)) than this otpd (migration \(program)). "
                + "Install the otpd that migrated it, or a later one."
        case .changed(let version, let name):
            "migration \(version) (\(name)) was applied with another text than this otpd has, so otpd does not use "
                + "this database. Find out who changed migrations/ after its release."
        }
    }
}
