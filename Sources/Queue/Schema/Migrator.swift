public import EventLoop
public import Postgres

/// Applies and takes back migrations: each in a transaction of its own with its checksum, all under one advisory lock, so
/// that of several that start at once one does the work and the others find it done.
public struct Migrator {
    private let connection: Connection
    private let deadline: Instant

    /// A migrator that works on `connection` until `deadline`.
    public init(on connection: Connection, deadline: Instant) {
        self.connection = connection
        self.deadline = deadline
    }

    /// Why it stopped.
    public enum Failure: Error, CustomStringConvertible {
        /// The database refused or was lost.
        case database(PostgresError)
        /// The schema is in a state that must not be migrated.
        case refused(SchemaState)
        /// A step failed; its transaction was rolled back.
        /// `eventTriggers` are those of the database, which may have had a hand in it.
        case step(version: Int, name: String, direction: String, PostgresError, eventTriggers: [String])
        /// The table of phone numbers was not taken in; the one of before stays.
        case numbers(PostgresError)

        public var description: String {
            switch self {
            case .database(let error): "\(error)"
            case .refused(let state): state.message
            case .step(let version, let name, let direction, let error, let eventTriggers):
                "Migrating \(direction) step \(version) (\(name)) failed and was rolled back; "
                    + "the steps before it stand. \(error)"
                    + (eventTriggers.isEmpty
                        ? ""
                        : ". Event triggers of this database may have refused or changed what the step made: "
                            + "\(eventTriggers.joined(separator: ", ")). "
                            + "If so, let them leave the schema otp alone, or disable them meanwhile")
            case .numbers(let error):
                "Loading the phone numbers \(NumberTable.embedded) failed; the table of before stays. \(error)"
            }
        }
    }

    /// The advisory lock's key: "otpd" in ASCII.
    private static let lock: Int64 = 0x6F74_7064

    /// What the database has.
    public func applied() async throws(PostgresError) -> [AppliedMigration] {
        let exists = try await one("SELECT to_regclass('otp.schema_migrations') IS NOT NULL")
        guard exists == "t" else { return [] }
        let result = try await rows(
            "SELECT version, name, checksum, applied_at::timestamptz(0) FROM otp.schema_migrations ORDER BY version")
        return try result.map { row throws(PostgresError) in
            AppliedMigration(
                version: try row.next(), name: try row.next(), checksum: try row.next(), appliedAt: try row.next())
        }
    }

    /// How the schema stands to this program.
    public func state() async throws(PostgresError) -> SchemaState {
        SchemaState.of(applied: try await applied())
    }

    /// What the database has, and how that stands to this program.
    public func read() async throws(Failure) -> (applied: [AppliedMigration], state: SchemaState) {
        let applied = try await database { () async throws(PostgresError) in try await self.applied() }
        return (applied, SchemaState.of(applied: applied))
    }

    /// Which table of phone numbers the database has; nil where there is none.
    public func numberTable() async throws(PostgresError) -> NumberTable? {
        guard try await one("SELECT to_regclass('otp.number_table') IS NOT NULL") == "t" else { return nil }
        let result = try await rows("SELECT version, released_on, loaded_at::timestamptz(0) FROM otp.number_table")
        guard result.rowCount == 1 else { return nil }
        var row = result.reader()
        return NumberTable(version: try row.next(), releasedOn: try row.next(), loadedAt: try row.next())
    }

    /// The same, with this type's own error.
    public func readNumberTable() async throws(Failure) -> NumberTable? {
        try await database { () async throws(PostgresError) in try await self.numberTable() }
    }

    /// Applies the steps that are missing, then takes in this program's table of phone numbers where it is newer than the
    /// database's; `progress` hears of each step. Answers the versions applied, and whether the table was taken in.
    public func up(_ progress: (Migration) -> Void = { _ in }) async throws(Failure) -> (steps: [Int], numbers: Bool) {
        try await locked { () async throws(Failure) -> (steps: [Int], numbers: Bool) in
            let steps = try await applySteps(progress)
            return (steps, try await loadNumbers())
        }
    }

    private func loadNumbers() async throws(Failure) -> Bool {
        let there = try await database { () async throws(PostgresError) in try await self.numberTable() }
        guard NumberTable.embedded.isNewer(than: there) else { return false }
        do { return try await one(NumberTable.sql) == "t" } catch { throw .numbers(error) }
    }

    private func applySteps(_ progress: (Migration) -> Void) async throws(Failure) -> [Int] {
        let state = try await database { () async throws(PostgresError) in try await self.state() }
        let first: Int
        switch state {
        case .current: return []
        case .absent: first = 1
        case .behind(let next, _): first = next
        case .newer, .changed: throw .refused(state)
        }
        var done: [Int] = []
        for migration in Migration.all where migration.version >= first {
            progress(migration)
            try await step(migration, "up", migration.up, after: enterChecksum(of: migration))
            done.append(migration.version)
        }
        return done
    }

    /// Takes back the newest step, or all down to (and without) `target`. The versions taken back.
    public func down(to target: Int? = nil, _ progress: (Migration) -> Void = { _ in }) async throws(Failure) -> [Int] {
        try await locked { () async throws(Failure) -> [Int] in
            let state = try await database { () async throws(PostgresError) in try await self.state() }
            switch state {
            case .absent: return []
            case .current, .behind: break
            case .newer, .changed: throw .refused(state)
            }
            let applied = try await database { () async throws(PostgresError) in try await self.applied() }.map(
                \.version)
            let target = target ?? (applied.max() ?? 1) - 1
            var done: [Int] = []
            for migration in Migration.all.reversed()
            where migration.version > target && applied.contains(migration.version) {
                progress(migration)
                try await step(migration, "down", migration.down, after: nil)
                done.append(migration.version)
            }
            return done
        }
    }

    /// What would be deleted by taking steps back that made tables.
    public struct Losses: Sendable, Equatable {
        public var database: String
        /// Whether the whole schema goes.
        public var isWhole: Bool
        /// The tables with rows, and how many these are by PostgreSQL's statistics.
        public var tables: [(name: String, rows: Int64)]

        public static func == (a: Losses, b: Losses) -> Bool {
            a.database == b.database && a.isWhole == b.isWhole && a.tables.elementsEqual(b.tables) { $0 == $1 }
        }
    }

    /// What `down(to:)` would delete; nil where no table goes.
    public func losses(to target: Int?) async throws(Failure) -> Losses? {
        let newest = try await read().applied.map(\.version).max() ?? 0
        let target = target ?? newest - 1
        let dropped = Migration.all.filter { $0.version > target && $0.version <= newest }.flatMap(\.droppedTables)
        guard !dropped.isEmpty || newest > 0 && target < 1 else { return nil }
        return try await database { () async throws(PostgresError) in
            let name = try await one("SELECT current_database()") ?? ""
            let result = try await rows(
                """
                SELECT relname, n_live_tup FROM pg_stat_user_tables
                 WHERE schemaname = 'otp' AND n_live_tup > 0
                   AND relname IN ('verifications', 'send_jobs', 'messages', 'unsent_jobs')
                 ORDER BY n_live_tup DESC
                """)
            var tables: [(String, Int64)] = []
            for row in 0..<result.rowCount where dropped.contains(try result.string(row, 0)) {
                tables.append((try result.string(row, 0), try result.int64(row, 1)))
            }
            return Losses(database: name, isWhole: target < 1, tables: tables)
        }
    }

    private func locked<T>(_ body: () async throws(Failure) -> T) async throws(Failure) -> T {
        try await database { () async throws(PostgresError) in
            // Before any file is sent: the server reads a whole message's literals by the settings that it finds.
            try await SessionSettings.beginWriting(on: connection, deadline: deadline)
            guard try await one("SELECT pg_is_in_recovery()") == "f" else {
                throw .unsuitable(
                    "\(await connection.target) is a read-only standby. Name the primary in DATABASE_URL, "
                        + "or all of them with target_session_attrs=read-write.")
            }
            _ = try await rows("SELECT pg_advisory_lock(\(Self.lock))")
        }
        let outcome: Result<T, Failure>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        // If the line is gone, so is the lock: what the body said matters more.
        _ = try? await rows("SELECT pg_advisory_unlock(\(Self.lock))")
        return try outcome.get()
    }

    private func database<T>(_ body: () async throws(PostgresError) -> T) async throws(Failure) -> T {
        do { return try await body() } catch { throw .database(error) }
    }

    private func step(_ migration: Migration, _ direction: String, _ sql: String, after: String?) async throws(Failure)
    {
        do {
            _ = try await connection.simple("BEGIN", deadline: deadline)
            _ = try await connection.simple(sql, deadline: deadline)
            if let after { _ = try await connection.simple(after, deadline: deadline) }
            _ = try await connection.simple("COMMIT", deadline: deadline)
        } catch {
            _ = try? await connection.simple("ROLLBACK", deadline: deadline)
            throw .step(
                version: migration.version, name: migration.name, direction: direction, error,
                eventTriggers: await eventTriggers())
        }
    }

    /// Those that are on and belong to no extension. None where they cannot be read: the step's error says more.
    private func eventTriggers() async -> [String] {
        let sql = """
            SELECT string_agg(e.evtname, ',' ORDER BY e.evtname) FROM pg_event_trigger e
             WHERE e.evtenabled <> 'D' AND NOT EXISTS (
                   SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
            """
        guard let names = try? await one(sql) else { return [] }
        return names.split(separator: ",").map(String.init)
    }

    /// Moves sequences that are behind the numbers in use, where this session may; those that were.
    public func advanceSequences() async throws(Failure) -> [AdvanceSequences.Sequence] {
        try await database { () async throws(PostgresError) in
            try await AdvanceSequences.run(on: connection, deadline: deadline)
        }
    }

    /// The checksum is 64 hexadecimal digits and the version a number: nothing to quote.
    private func enterChecksum(of migration: Migration) -> String {
        "UPDATE otp.schema_migrations SET checksum = '\(migration.checksum)' WHERE version = \(migration.version)"
    }

    private func rows(_ sql: String) async throws(PostgresError) -> QueryResult {
        guard let last = try await connection.simple(sql, deadline: deadline).last else {
            throw .misuse("a query without a result")
        }
        return last
    }

    private func one(_ sql: String) async throws(PostgresError) -> String? {
        try await rows(sql).stringIfPresent(0, 0)
    }
}
