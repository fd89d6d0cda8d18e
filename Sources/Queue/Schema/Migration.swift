internal import CMigrations

/// One migration, compiled in from `migrations/`.
public struct Migration: Sendable {
    /// Its number. Migrations are applied in this order, without gaps, from 1.
    public let version: Int
    /// The rest of its file's name.
    public let name: String
    /// The SQL that applies it, without BEGIN and COMMIT. Its end inserts its row into `otp.schema_migrations`.
    public let up: String
    /// The SQL that reverts it.
    public let down: String
    /// SHA-256 of `up` in hex. A database must have applied this very text.
    public let checksum: String

    init(version: Int, name: String, up: String, down: String) {
        self.version = version
        self.name = name
        self.up = up
        self.down = down
        checksum = String(
            decoding: unsafe Array(up.utf8).withUnsafeBytes { unsafe HexDigest.sha256($0) }, as: UTF8.self)
    }

    /// All migrations of this program, in order.
    public static let all: [Migration] = (0..<otp_migrations_count()).compactMap { index in
        guard let entry = unsafe otp_migration_at(index)?.pointee else { return nil }
        return unsafe Migration(
            version: Int(entry.version), name: String(cString: entry.name), up: text(entry.up, entry.up_length),
            down: text(entry.down, entry.down_length))
    }

    /// The tables that reverting it drops, with their rows.
    var droppedTables: [String] {
        down.split(separator: ";").flatMap { statement -> [String] in
            guard let list = statement.split(separator: "DROP TABLE ", maxSplits: 1).dropFirst().first else {
                return []
            }
            return list.split(separator: ",").compactMap { $0.split(separator: "otp.").last.map(String.init) }
        }
    }

    /// The newest migration of this program.
    public static var newest: Int { all.last?.version ?? 0 }

    /// The last migration of the first release. Those after it change a schema that is in use.
    static let firstRelease = 27

    /// The newest migration of the oldest schema that this program works with. It stays one release behind: the statements of
    /// a release use what its own migrations add only when the release before had it.
    public static let oldestSchema = 27

    /// What it locks and for how long, from its line `-- Locks: …`; nil if it has none. A migration of the first release has
    /// none, because it only makes new objects.
    public var locks: String? {
        up.split(separator: "\n").lazy.filter { $0.hasPrefix("-- Locks: ") }.first.map { String($0.dropFirst(10)) }
    }

    /// What a migration of a later release lacks; empty if it has everything. It must say what it locks, and which programs
    /// the schema serves after it.
    var omissions: [String] {
        guard version > Self.firstRelease else { return [] }
        var omissions: [String] = []
        if locks == nil { omissions.append("a line that says what it locks and for how long: -- Locks: …") }
        if !up.contains("oldest_program") {
            omissions.append("the oldest program that the schema serves: oldest_program")
        }
        return omissions
    }

    private static func text(_ bytes: UnsafePointer<CChar>, _ count: Int) -> String {
        unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}
