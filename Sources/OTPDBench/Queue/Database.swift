internal import EventLoop
internal import Glibc
internal import Postgres

/// The throwaway database, filled and emptied through its own connection, as its owner.
struct Database {
    /// The required name, so that no other queue is ever emptied by mistake.
    static let requiredName = "otpd_bench"

    let connection: Connection
    let settings: ConnectionSettings
    /// The server and all its processes, except the one that serves this connection.
    let server: ProcessTree

    static func open(on loop: EventLoop) async throws -> Database {
        guard let secret = ChildProcess.variable("OTPD_SECRET") else { throw BenchError("OTPD_SECRET is not set") }
        let settings = ConnectionSettings(
            applicationName: "otpd-bench",
            sessionOptions: [(name: "otp.secret", value: secret), (name: "client_min_messages", value: "error")])
        let connection = try await Connection.open(settings, on: loop, deadline: .now() + .seconds(10))
        let name = try await connection.simple("SELECT current_database()", deadline: .now() + .seconds(10))
        guard try name.first?.string(0, 0) == requiredName else {
            throw BenchError("PGDATABASE must be a throwaway database named \(requiredName): its contents are deleted")
        }
        let backend = await connection.backendPID
        guard let postmaster = ProcessTree.parent(of: backend) else {
            throw BenchError("cannot see the database server's processes. Run the server on this machine.")
        }
        // Each job has its own number here, and refusals would only cost time.
        try await connection.simple("TRUNCATE otp.limits", deadline: .now() + .seconds(10))
        return Database(
            connection: connection, settings: settings, server: ProcessTree(root: postmaster, without: backend))
    }

    /// Another session of the same role and secret.
    func session(on loop: EventLoop) async throws -> Connection {
        try await Connection.open(settings, on: loop, deadline: .now() + .seconds(10))
    }

    /// Server settings that may distort a comparison.
    func serverSettings() async throws -> [String: String] {
        let rows = try await text(
            """
            SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'fsync', 'full_page_writes',
                'synchronous_commit', 'shared_buffers', 'max_wal_size', 'autovacuum')
            """)
        var settings: [String: String] = [:]
        for row in 0..<rows.rowCount { settings[try rows.string(row, 0)] = try rows.string(row, 1) }
        return settings
    }

    /// Empties the queue and its history.
    func reset() async throws {
        _ = try await text(
            """
            TRUNCATE otp.send_jobs, otp.verifications, otp.messages, otp.unsent_jobs, otp.send_counts, otp.request_locks,
                otp.worker_status
            """)
    }

    /// Queues the jobs 0 to `count - 1`, due and requested over the last `age` seconds. Job k goes to +96650 and k in
    /// seven digits. The first is inserted as a backend would insert it. The others are copies of it, written without
    /// the triggers, because sealing a million codes would take longer than their life.
    func fill(count: Int, age: Int = 0) async throws {
        _ = try await text(
            """
            WITH v AS (
                INSERT INTO otp.verifications (subject, phone_number, expires_at)
                VALUES ('bench:0', '+966500000000', clock_timestamp() + interval '9 minutes 59 seconds') RETURNING id
            ) INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v
            """)
        let first = try await text("SELECT id, verification_id FROM otp.send_jobs ORDER BY id DESC LIMIT 1")
        let (job, verification) = (try first.string(0, 0), try first.string(0, 1))
        let asked = "now() - (\(count) - g) * interval '1 second' * \(age) / \(count)"
        let expires = "now() + interval '30 minutes'"
        try await clone(
            "otp.verifications", where: "id = \(verification)", to: count - 1,
            [
                "id": "s.id + g", "subject": "'bench:' || g", "phone_number": "'+96650' || lpad(g::text, 7, '0')",
                "e164": "'+96650' || lpad(g::text, 7, '0')", "created_at": asked, "expires_at": expires,
            ])
        try await clone(
            "otp.send_jobs", where: "id = \(job)", to: count - 1,
            [
                "id": "s.id + g", "verification_id": "s.verification_id + g", "due_at": asked, "requested_at": asked,
                "expires_at": expires,
            ])
        for table in ["otp.verifications", "otp.send_jobs"] {
            _ = try await text("SELECT setval(pg_get_serial_sequence('\(table)', 'id'), max(id)) FROM \(table)")
        }
        try await settle()
    }

    /// Copies the only message `count` times, as settled sends of the last 80 days.
    func fillHistory(count: Int) async throws {
        let ended = "now() - g * interval '80 days' / \(count)"
        try await clone(
            "otp.messages", where: "true", to: count,
            [
                "job_range": "otp.job_range(-g)", "message_sid": "'SM' || md5(g::text)", "send_job_id": "-g",
                "verification_id": "-g",
                "requested_at": ended, "accepted_at": ended, "final_at": ended, "next_poll_at": "NULL",
                "status": "'delivered'",
            ])
    }

    /// Inserts `count` copies of a row without the triggers. `changes` are expressions for columns, over the row `s`
    /// and the copy's number `g`. The list of columns comes from the server, so that a new one needs no change here.
    private func clone(
        _ table: String, where condition: String, to count: Int, _ changes: [String: String]
    ) async throws {
        let columns = try await text(
            """
            SELECT attname FROM pg_attribute
             WHERE attrelid = '\(table)'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
             ORDER BY attnum
            """)
        let names = try (0..<columns.rowCount).map { try columns.string($0, 0) }
        // In parts, because a statement has a deadline.
        for first in stride(from: 1, through: count, by: 500_000) {
            try await run(
                """
                BEGIN; SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off;
                INSERT INTO \(table) (\(names.joined(separator: ", "))) OVERRIDING SYSTEM VALUE
                SELECT \(names.map { changes[$0] ?? "s." + $0 }.joined(separator: ", "))
                  FROM (SELECT * FROM \(table) WHERE \(condition) LIMIT 1) s,
                       generate_series(\(first)::bigint, \(min(count, first + 499_999))) g;
                COMMIT
                """)
        }
    }

    /// Finishes the work of autovacuum and the checkpointer, so that they stay quiet during a measurement.
    func settle() async throws {
        _ = try await text("VACUUM (ANALYZE) otp.verifications, otp.send_jobs, otp.messages, otp.unsent_jobs")
        _ = try await text("CHECKPOINT")
    }

    /// Whether all jobs have ended.
    func isDrained() async throws -> Bool {
        try await text("SELECT NOT EXISTS (SELECT FROM otp.send_jobs)").string(0, 0) == "t"
    }

    /// How many workers have registered and are running or paused.
    func workers() async throws -> Int {
        let row = try await text("SELECT count(*) FROM otp.worker_status WHERE state IN ('running', 'paused')")
        return Int(try row.string(0, 0)) ?? 0
    }

    /// How many jobs ended accepted, how many in another way, and how many have not ended.
    func endings() async throws -> (accepted: Int, otherwise: Int, open: Int) {
        let row = try await text(
            """
            SELECT (SELECT count(*) FROM otp.messages WHERE is_primary), (SELECT count(*) FROM otp.unsent_jobs),
                (SELECT count(*) FROM otp.send_jobs)
            """)
        func number(_ column: Int) throws -> Int { Int(try row.string(0, column)) ?? 0 }
        return (try number(0), try number(1), try number(2))
    }

    /// Transactions of this database so far. Reading it adds three by this connection.
    func transactions() async throws -> Int {
        _ = try await text("SELECT pg_stat_force_next_flush()")
        _ = try await text("SELECT pg_stat_clear_snapshot()")
        let row = try await text(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        return Int(try row.string(0, 0)) ?? 0
    }

    /// Turns the counting of otpd's statements on or off, for sessions that begin after this.
    func countStatements(_ counts: Bool) async throws {
        try await run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        try await run(
            "ALTER DATABASE \(Self.requiredName) SET pg_stat_statements.track = '\(counts ? "top" : "none")'")
        _ = try await text("SELECT pg_stat_statements_reset()")
    }

    /// The cost of the claims since counting began. Claims are the statements that lock rows, skip locked ones, and
    /// read sealed codes.
    func claims() async throws -> Claims {
        let row = try await text(
            """
            SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(rows), 0)::bigint,
                coalesce(sum(total_exec_time), 0), coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint
              FROM pg_stat_statements WHERE query LIKE '%SKIP LOCKED%sealed_code%'
            """)
        return Claims(
            calls: Int(try row.string(0, 0)) ?? 0, jobs: Int(try row.string(0, 1)) ?? 0,
            milliseconds: Double(try row.string(0, 2)) ?? 0, buffers: Int(try row.string(0, 3)) ?? 0)
    }

    /// Runs SQL without using its result.
    func run(_ sql: String) async throws { _ = try await text(sql) }

    private func text(_ sql: String) async throws -> QueryResult {
        let results = try await connection.simple(sql, deadline: .now() + .seconds(300))
        guard let result = results.last else { throw BenchError("the database returned no result") }
        return result
    }
}

/// otpd's claims, as counted by the server.
struct Claims: Codable {
    var calls: Int
    var jobs: Int
    var milliseconds: Double
    /// Pages touched, in the cache or not.
    var buffers: Int
}
