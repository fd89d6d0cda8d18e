public import EventLoop
public import Postgres

/// Applies and reverts migrations, each in its own transaction with its checksum. One advisory lock serializes several
/// migrators: the first does the work, and the others find it done.
public struct Migrator {
    private let connection: Connection
    private let deadline: Instant

    /// Makes a migrator that works on `connection` until `deadline`.
    public init(on connection: Connection, deadline: Instant) {
        self.connection = connection
        self.deadline = deadline
    }

    /// Why it stopped.
    public enum Failure: Error, CustomStringConvertible {
        /// The database refused, or the connection was lost.
        case database(PostgresError)
        /// The schema is in a state that must not be migrated.
        case refused(SchemaState)
        /// A migration failed, and its transaction was rolled back. `eventTriggers` are the database's event triggers,
        /// which may be the cause.
        case step(version: Int, name: String, direction: String, PostgresError, eventTriggers: [String])
        /// Loading the table of phone numbers failed; the previous table stays.
        case numbers(PostgresError)

        public var description: String {
            switch self {
            case .database(let error): "\(error)"
            case .refused(let state): state.message
            case .step(let version, let name, let direction, let error, let eventTriggers):
                "migrating \(direction) failed at migration \(version) (\(name)), which was rolled back. "
                    + "The migrations before it stay. \(error)"
                    + (eventTriggers.isEmpty
                        ? ""
                        : ". Event triggers of this database may have refused or changed it: "
                            + "\(eventTriggers.joined(separator: ", ")). "
                            + "If so, make them skip the schema otp, or disable them during the migration.")
            case .numbers(let error):
                "loading the phone numbers \(NumberTable.embedded) failed; the previous table stays. \(error)"
            }
        }
    }

    /// The advisory lock's key: "otpd" in ASCII.
    private static let lock: Int64 = 0x6F74_7064

    /// How long a step waits for a table that another session uses, in milliseconds. All sends and requests queue up behind
    /// it meanwhile, so it gives up soon and tries again.
    static let lockTimeout = 500
    /// The time between two tries of a step. Workers catch up in it.
    static let pause = Instant.Duration.seconds(2)

    /// The migrations that the database has.
    public func applied() async throws(PostgresError) -> [AppliedMigration] {
        let exists = try await one("SELECT to_regclass('otp.schema_migrations') IS NOT NULL")
        guard exists == "t" else { return [] }
        let result = try await rows(
            """
            SELECT version, name, checksum, applied_at::timestamptz(0), oldest_program FROM otp.schema_migrations
             ORDER BY version
            """)
        return try result.map { row throws(PostgresError) in
            AppliedMigration(
                version: try row.next(), name: try row.next(), checksum: try row.next(), appliedAt: try row.next(),
                oldestProgram: try row.next())
        }
    }

    /// The schema's state in relation to this program.
    public func state() async throws(PostgresError) -> SchemaState {
        SchemaState.of(applied: try await applied())
    }

    /// The migrations that the database has, and the schema's state.
    public func read() async throws(Failure) -> (applied: [AppliedMigration], state: SchemaState) {
        let applied = try await database { () async throws(PostgresError) in try await self.applied() }
        return (applied, SchemaState.of(applied: applied))
    }

    /// The database's table of phone numbers; nil if it has none.
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

    /// Applies the missing migrations, then loads this program's table of phone numbers if it is newer than the
    /// database's. `progress` is called for each migration, and `waiting` when one waits for a table in use. Returns
    /// what it did.
    public func up(
        _ progress: (Migration) -> Void = { _ in }, waiting: (Blocker?) -> Void = { _ in }
    ) async throws(Failure) -> Done {
        try await locked { () async throws(Failure) -> Done in
            let steps = try await applySteps(progress, waiting)
            return Done(steps: steps, numbers: try await loadNumbers(), state: try await read().state)
        }
    }

    /// What `up` did.
    public struct Done: Sendable {
        /// The versions that it applied.
        public var steps: [Int]
        /// Whether it loaded the table of phone numbers.
        public var numbers: Bool
        /// The state of the schema now.
        public var state: SchemaState
    }

    private func loadNumbers() async throws(Failure) -> Bool {
        let there = try await database { () async throws(PostgresError) in try await self.numberTable() }
        guard NumberTable.embedded.isNewer(than: there) else { return false }
        do { return try await one(NumberTable.sql) == "t" } catch { throw .numbers(error) }
    }

    private func applySteps(
        _ progress: (Migration) -> Void, _ waiting: (Blocker?) -> Void
    ) async throws(Failure) -> [Int] {
        let state = try await database { () async throws(PostgresError) in try await self.state() }
        let first: Int
        switch state {
        case .current, .newer(_, _, isUsable: true): return []
        case .absent: first = 1
        case .behind(let next, _, _): first = next
        case .newer, .changed: throw .refused(state)
        }
        var done: [Int] = []
        for migration in Migration.all where migration.version >= first {
            progress(migration)
            try await step(migration, "up", migration.up, after: enterChecksum(of: migration), waiting)
            done.append(migration.version)
        }
        return done
    }

    /// Reverts the newest migration, or all down to (and without) `target`. Returns the versions reverted.
    public func down(
        to target: Int? = nil, _ progress: (Migration) -> Void = { _ in }, waiting: (Blocker?) -> Void = { _ in }
    ) async throws(Failure) -> [Int] {
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
                try await step(migration, "down", migration.down, after: nil, waiting)
                done.append(migration.version)
            }
            return done
        }
    }

    /// The data that reverting migrations would delete with their tables.
    public struct Losses: Sendable, Equatable {
        public var database: String
        /// Whether the whole schema is dropped.
        public var isWhole: Bool
        /// The tables with rows, and how many rows PostgreSQL's statistics give.
        public var tables: [(name: String, rows: Int64)]

        public static func == (a: Losses, b: Losses) -> Bool {
            a.database == b.database && a.isWhole == b.isWhole && a.tables.elementsEqual(b.tables) { $0 == $1 }
        }
    }

    /// The data that `down(to:)` would delete; nil if no table is dropped.
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
            // Runs before any file is sent, because the server parses a whole message's literals by its current
            // settings.
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
        // If the connection is lost, so is the lock. The body's result matters more.
        _ = try? await rows("SELECT pg_advisory_unlock(\(Self.lock))")
        return try outcome.get()
    }

    private func database<T>(_ body: () async throws(PostgresError) -> T) async throws(Failure) -> T {
        do { return try await body() } catch { throw .database(error) }
    }

    /// Runs a step in a transaction. A table that another session uses is waited for in short tries until the deadline,
    /// because everything else queues up behind a step that waits.
    private func step(
        _ migration: Migration, _ direction: String, _ sql: String, after: String?, _ waiting: (Blocker?) -> Void
    ) async throws(Failure) {
        while true {
            do {
                _ = try await connection.simple(
                    "BEGIN; SET LOCAL lock_timeout = \(Self.lockTimeout)", deadline: deadline)
                _ = try await connection.simple(sql, deadline: deadline)
                if let after { _ = try await connection.simple(after, deadline: deadline) }
                _ = try await connection.simple("COMMIT", deadline: deadline)
                return
            } catch {
                _ = try? await connection.simple("ROLLBACK", deadline: deadline)
                let isLocked =
                    if case .server(let refusal) = error { [.locked, .conflict].contains(refusal.kind) } else { false }
                guard isLocked, Instant.now() + Self.pause < deadline else {
                    throw .step(
                        version: migration.version, name: migration.name, direction: direction, error,
                        eventTriggers: await eventTriggers())
                }
                waiting(await blocker())
                try? await connection.loop.sleep(for: Self.pause)
            }
        }
    }

    /// A session that uses a table of the schema.
    public struct Blocker: Sendable, Equatable {
        /// Its process id at the server.
        public var pid: Int32
        /// Its role.
        public var role: String
        /// How long its transaction has been open, in seconds; nil if this role may not know.
        public var seconds: Int?
    }

    /// The session with the oldest transaction that uses a table of the schema; nil if it has just ended.
    private func blocker() async -> Blocker? {
        let sql = """
            SELECT a.pid, coalesce(a.usename, ''), extract(epoch FROM clock_timestamp() - a.xact_start)::int
              FROM pg_stat_activity a
             WHERE a.pid <> pg_backend_pid() AND a.datname = current_database() AND EXISTS (
                   SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                    WHERE l.pid = a.pid AND l.granted AND l.database = (SELECT d.oid FROM pg_database d
                          WHERE d.datname = current_database()) AND c.relnamespace = to_regnamespace('otp'))
             ORDER BY a.xact_start LIMIT 1
            """
        guard let result = try? await rows(sql), result.rowCount == 1 else { return nil }
        var row = result.reader()
        guard let pid = try? row.next() as Int32, let role = try? row.next() as String else { return nil }
        return Blocker(pid: pid, role: role, seconds: (try? row.next() as Int?) ?? nil)
    }

    /// The enabled event triggers that belong to no extension. Empty if they cannot be read, because the migration's
    /// error says more.
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

    /// Advances sequences that are behind the numbers in use, as far as this session may. Returns those that were
    /// behind.
    public func advanceSequences() async throws(Failure) -> [AdvanceSequences.Sequence] {
        try await database { () async throws(PostgresError) in
            try await AdvanceSequences.run(on: connection, deadline: deadline)
        }
    }

    /// The checksum is 64 hexadecimal digits and the version a number, so neither needs quotes.
    private func enterChecksum(of migration: Migration) -> String {
        "UPDATE otp.schema_migrations SET checksum = '\(migration.checksum)' WHERE version = \(migration.version)"
    }

    private func rows(_ sql: String) async throws(PostgresError) -> QueryResult {
        guard let last = try await connection.simple(sql, deadline: deadline).last else {
            throw .misuse("the query returned no result")
        }
        return last
    }

    private func one(_ sql: String) async throws(PostgresError) -> String? {
        try await rows(sql).stringIfPresent(0, 0)
    }
}
