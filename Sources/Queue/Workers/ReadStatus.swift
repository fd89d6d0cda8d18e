public import EventLoop
public import Postgres

/// Reads the status relations for a person: the queue, the workers, the pauses, the last sends.
public enum ReadStatus {
    /// One relation's rows, as text.
    public struct Part: Sendable {
        /// The relation, without its schema.
        public var name: String
        /// What a person reads above it.
        public var title: String
        public var columns: [String]
        /// Which columns hold numbers.
        public var isNumeric: [Bool]
        public var rows: [[String?]]

        /// What a row has in the column called `name`; nil for NULL.
        func value(_ name: String, of row: [String?]) -> String? {
            columns.firstIndex(of: name).flatMap { row[$0] }
        }
    }

    public struct Status: Sendable {
        public var parts: [Part]
        /// Workers whose heartbeat is young.
        public var workersAlive: Int
        /// The first pause there is.
        public var pause: (reason: String, remedy: String)?
    }

    private static let queue = """
        SELECT queued, due, sending, unknown, oldest_due_seconds, accepted_1m, accepted_1h, failed_1h,
               success_share, latency_p50_ms, latency_p99_ms, workers_alive
          FROM otp.queue_status
        """
    private static let workers = """
        SELECT worker_id AS worker, host, pid, version, state, reason, remedy, in_flight, claimed, accepted, failed,
               unknown, latency_p50_ms AS p50_ms, latency_p99_ms AS p99_ms,
               round(extract(epoch FROM now() - heartbeat_at))::int AS heartbeat_seconds, twilio_state AS twilio
          FROM otp.worker_status
         WHERE heartbeat_at > now() - interval '1 hour'
         ORDER BY worker_id DESC
         LIMIT 20
        """
    private static let sends = """
        SELECT send_job_id, subject, phone_number, job_state, message_status, attempts, error_code, error, remedy,
               requested_at::timestamptz(0)
          FROM otp.delivery_status
         ORDER BY send_job_id DESC
         LIMIT 10
        """

    /// Reads them one after the other.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Status {
        let parts = [
            try await part("queue_status", "Queue", queue, connection, deadline),
            try await part("worker_status", "Workers (heartbeat within an hour)", workers, connection, deadline),
            try await ReadPauses.run(on: connection, deadline: deadline),
            try await part("delivery_status", "Last sends", sends, connection, deadline),
        ]
        let alive = parts[0].rows.first.flatMap { parts[0].value("workers_alive", of: $0) }.flatMap { Int($0) } ?? 0
        let paused = parts[1].rows.first { parts[1].value("state", of: $0) == "paused" }
        let pause = paused.map { row in
            (parts[1].value("reason", of: row) ?? "", parts[1].value("remedy", of: row) ?? "")
        }
        return Status(parts: parts, workersAlive: alive, pause: pause)
    }

    static func part(
        _ name: String, _ title: String, _ sql: String, _ connection: Connection, _ deadline: Instant
    ) async throws(PostgresError) -> Part {
        guard let result = try await connection.simple(sql, deadline: deadline).last else {
            throw .misuse("\(name) brought no result")
        }
        let columns = (0..<result.columnCount).map { result.name(of: $0) }
        // int2, int4, int8, float4, float8, numeric.
        let numbers: Set<UInt32> = [20, 21, 23, 700, 701, 1700]
        var rows: [[String?]] = []
        for row in 0..<result.rowCount {
            var cells: [String?] = []
            for column in columns.indices { cells.append(try result.stringIfPresent(row, column)) }
            rows.append(cells)
        }
        return Part(
            name: name, title: title, columns: columns,
            isNumeric: columns.indices.map { numbers.contains(result.type(of: $0).rawValue) }, rows: rows)
    }
}
