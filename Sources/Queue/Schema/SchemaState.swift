/// A migration that a database has applied.
public struct AppliedMigration: Sendable, Equatable {
    public var version: Int
    public var name: String
    /// SHA-256 of the SQL that was run, in hex; nil if psql ran the file instead of otpd.
    public var checksum: String?
    /// The time, as the database prints it.
    public var appliedAt: String
    /// The newest migration that the oldest otpd knows which works with the schema after this step. Nil: only an otpd that
    /// knows this step does.
    public var oldestProgram: Int?

    public init(version: Int, name: String, checksum: String?, appliedAt: String, oldestProgram: Int? = nil) {
        self.version = version
        self.name = name
        self.checksum = checksum
        self.appliedAt = appliedAt
        self.oldestProgram = oldestProgram
    }
}

/// The state of a database's schema in relation to this program. Pure.
///
/// A program works with the schema of its own version, and usually with that of one version before and after. The older of
/// the two cannot know the newer one. So the newer one says whether they fit: a migration names the oldest program that it
/// serves (`oldest_program`), and a program names the oldest schema that it needs (`Migration.oldestSchema`).
public enum SchemaState: Sendable, Equatable {
    /// Exactly the schema that this program expects.
    case current
    /// No migration was applied.
    case absent
    /// Migrations are missing, from this one on. Usable if this program does not need them.
    case behind(next: Int, newest: Int, isUsable: Bool)
    /// The database has migrations that this program does not know. Usable if they all serve this program.
    case newer(database: Int, program: Int, isUsable: Bool)
    /// A migration was applied with a different text than this program's.
    case changed(version: Int, name: String)

    /// Compares the applied migrations with the known ones.
    ///
    /// - Parameter oldestSchema: the newest migration of the oldest schema that this program works with.
    public static func of(
        applied: [AppliedMigration], known: [Migration] = Migration.all, oldestSchema: Int = Migration.oldestSchema
    ) -> SchemaState {
        guard let newestApplied = applied.map(\.version).max() else { return .absent }
        let newestKnown = known.map(\.version).max() ?? 0
        let byVersion = Dictionary(applied.map { ($0.version, $0) }) { first, _ in first }
        var missing: Int?
        for migration in known {
            guard let step = byVersion[migration.version] else {
                missing = missing ?? migration.version
                continue
            }
            if let checksum = step.checksum, checksum != migration.checksum {
                return .changed(version: migration.version, name: migration.name)
            }
        }
        if newestApplied > newestKnown {
            let serves = applied.filter { $0.version > newestKnown }.allSatisfy {
                $0.oldestProgram ?? .max <= newestKnown
            }
            return .newer(database: newestApplied, program: newestKnown, isUsable: serves && missing == nil)
        }
        guard let missing else { return .current }
        // A gap is no older schema.
        let isUsable = missing > oldestSchema && newestApplied < missing
        return .behind(next: missing, newest: newestKnown, isUsable: isUsable)
    }

    /// Whether a worker may run on it.
    public var isUsable: Bool {
        switch self {
        case .current: true
        case .behind(_, _, let isUsable), .newer(_, _, let isUsable): isUsable
        case .absent, .changed: false
        }
    }

    /// The problem and the remedy in one line; for a schema that is usable, a confirmation.
    public var message: String {
        switch self {
        case .current:
            "The schema is current."
        case .absent:
            "the database has no otp schema. Run otpd migrate up."
        case .behind(let next, let newest, false):
            "the schema is behind: migration \(next) of \(newest) has not been applied. Run otpd migrate up."
        case .behind(let next, let newest, true):
            "The schema is older (migration \(next - 1)) than this otpd (migration \(newest)), and this otpd works with it. "
                + "Run otpd migrate up at any time."
        case .newer(let database, let program, false):
            "the schema is newer (migration \(database)) than this otpd (migration \(program)). "
                + "Install the otpd that migrated it, or a later one."
        case .newer(let database, let program, true):
            "The schema is newer (migration \(database)) than this otpd (migration \(program)), and it serves this otpd, too."
        case .changed(let version, let name):
            "migration \(version) (\(name)) was applied with another text than this otpd has, so otpd does not use "
                + "this database. Find out who changed migrations/ after its release."
        }
    }
}
