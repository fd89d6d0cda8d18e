internal import EventLoop
internal import Postgres

/// The leanest durable queue on PostgreSQL: one table, claimed and finished in batches. It has no history and no
/// fencing, and seals and sends nothing. One batch is finished while the next is claimed, on two connections. It is an
/// upper bound for any sender on this server and disk.
enum LeanQueue {
    private static let batch = 256

    private static let claim = Statement(
        "bench_lean_claim",
        """
        UPDATE bench_outbox o SET claimed_at = now()
         WHERE o.id = ANY (ARRAY (SELECT q.id FROM bench_outbox q WHERE q.claimed_at IS NULL ORDER BY q.id LIMIT $1
                                     FOR UPDATE SKIP LOCKED))
        RETURNING o.id, o.recipient, o.body
        """, [.int4])
    private static let finish = Statement(
        "bench_lean_finish",
        "UPDATE bench_outbox SET sid = 'SM' || md5(id::text), done_at = now() WHERE id = ANY ($1)", [.int8Array])

    /// Jobs per second, from the first claim to the last finish.
    static func perSecond(_ database: Database, jobs: Int, on loop: EventLoop) async throws -> Double {
        try await database.run(
            """
            DROP TABLE IF EXISTS bench_outbox;
            CREATE TABLE bench_outbox (id bigint PRIMARY KEY, recipient text, body text, sid text,
                claimed_at timestamptz, done_at timestamptz) WITH (fillfactor = 70);
            CREATE INDEX ON bench_outbox (id) WHERE claimed_at IS NULL;
            INSERT INTO bench_outbox (id, recipient, body)
            SELECT k, '+96650' || lpad(k::text, 7, '0'), 'Your Bench verification code is: 123456.'
              FROM generate_series(1, \(jobs)) k
            """)
        try await database.run("VACUUM (ANALYZE) bench_outbox")
        try await database.run("CHECKPOINT")
        let claims = try await database.session(on: loop)
        let records = try await database.session(on: loop)
        var done = 0
        let start = Instant.now()
        var next = try await claimed(on: claims)
        while !next.isEmpty {
            let ids = next
            async let following = claimed(on: claims)
            var parameters = Parameters()
            parameters.append(ids)
            _ = try await records.execute(finish, parameters, deadline: .now() + .seconds(30))
            done += ids.count
            next = try await following
        }
        let span = (Instant.now() - start).seconds
        await claims.close()
        await records.close()
        try await database.run("DROP TABLE bench_outbox")
        guard done == jobs else { throw BenchError("the lean queue handled \(done) of \(jobs) jobs") }
        return Double(done) / span
    }

    private static func claimed(on connection: Connection) async throws -> [Int64] {
        var parameters = Parameters()
        parameters.append(Int32(batch))
        let result = try await connection.execute(claim, parameters, deadline: .now() + .seconds(30))
        return try (0..<result.rowCount).map { try result.int64($0, 0) }
    }
}
