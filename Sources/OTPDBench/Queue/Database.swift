internal import EventLoop
internal import Glibc
internal import Postgres

/// The throwaway database: filled and emptied through one connection of its own, as its owner.
struct Database {
    /// So that nobody's queue is ever emptied by mistake.
    static let requiredName = "otpd_bench"

    let connection: Connection
    let settings: ConnectionSettings
    /// The server and all its processes, without the one that serves this connection.
    let server: ProcessTree

    static func open(on loop: EventLoop) async throws -> Database {
        guard let secret = ChildProcess.variable("OTPD_SECRET") else { throw BenchError("OTPD_SECRET is not set") }
        let settings = ConnectionSettings(
            applicationName: "otpd-bench",
            sessionOptions: [(name: "otp.secret", value: secret), (name: "client_min_messages", value: "error")])
        let connection = try await Connection.open(settings, on: loop, deadline: .now() + .seconds(10))
        let name = try await connection.simple("SELECT current_database()", deadline: .now() + .seconds(10))
        guard try name.first?.string(0, 0) == requiredName else {
            throw BenchError("PGDATABASE must be a throwaway database named \(requiredName): this program empties it")
        }
        let backend = await connection.backendPID
        guard let postmaster = ProcessTree.parent(of: backend) else {
            throw BenchError("the database server's processes are not to be seen: it must run on this machine")
        }
        // One number is one job here, and time is not to be spent on refusals.
        try await connection.simple("TRUNCATE otp.limits", deadline: .now() + .seconds(10))
        return Database(
            connection: connection, settings: settings, server: ProcessTree(root: postmaster, without: backend))
    }

    /// What may falsify a comparison, as the server has it.
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
            TRUNCATE otp.send_jobs, otp.verifications, otp.messages, otp.unsent_jobs, otp.send_counts, otp.requests,
                otp.worker_status
            """)
    }

    /// Queues the jobs `first` to `first + count - 1`: job k goes to +96650 and k in seven digits.
    func fill(first: Int = 0, count: Int) async throws {
        _ = try await text(
            """
            INSERT INTO otp.verifications (subject, phone_number, expires_at)
            SELECT 'bench:' || k, '+96650' || lpad(k::text, 7, '0'), clock_timestamp() + interval '9 minutes 59 seconds'
              FROM generate_series(\(first), \(first + count - 1)) k
            """)
        _ = try await text(
            """
            INSERT INTO otp.send_jobs (verification_id)
            SELECT v.id FROM otp.verifications v
             WHERE v.id > (SELECT max(w.id) - \(count) FROM otp.verifications w) ORDER BY v.id
            """)
        try await settle()
    }

    /// Leaves nothing for autovacuum and the checkpointer to do during a measurement.
    func settle() async throws {
        _ = try await text("VACUUM (ANALYZE) otp.verifications, otp.send_jobs, otp.messages, otp.unsent_jobs")
        _ = try await text("CHECKPOINT")
    }

    /// Whether no job is left that has not ended.
    func isDrained() async throws -> Bool {
        try await text("SELECT NOT EXISTS (SELECT FROM otp.send_jobs)").string(0, 0) == "t"
    }

    /// Whether a worker has registered and runs.
    func hasWorker() async throws -> Bool {
        try await text("SELECT EXISTS (SELECT FROM otp.worker_status WHERE state = 'running')").string(0, 0) == "t"
    }

    /// How many jobs ended accepted, how many otherwise, and how many have not ended.
    func endings() async throws -> (accepted: Int, otherwise: Int, open: Int) {
        let row = try await text(
            """
            SELECT (SELECT count(*) FROM otp.messages WHERE ended_job), (SELECT count(*) FROM otp.unsent_jobs),
                (SELECT count(*) FROM otp.send_jobs)
            """)
        func number(_ column: Int) throws -> Int { Int(try row.string(0, column)) ?? 0 }
        return (try number(0), try number(1), try number(2))
    }

    /// Transactions of this database so far; asking adds three of this connection's.
    func transactions() async throws -> Int {
        _ = try await text("SELECT pg_stat_force_next_flush()")
        _ = try await text("SELECT pg_stat_clear_snapshot()")
        let row = try await text(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        return Int(try row.string(0, 0)) ?? 0
    }

    private func text(_ sql: String) async throws -> Postgres.Result {
        let results = try await connection.simple(sql, deadline: .now() + .seconds(300))
        guard let result = results.last else { throw BenchError("the database answered nothing") }
        return result
    }
}
