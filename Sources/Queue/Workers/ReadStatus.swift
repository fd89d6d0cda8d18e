public import EventLoop
public import Postgres

/// Reads the status relations for display, or for a program in the same words: the queue, the channels, the workers, the
/// pauses, the last sends and failures, and the counts of outcomes. One round trip, and so one moment. Each of its statements takes
/// a few milliseconds however long the history is (`Tests/sql/19_status.sh` checks their plans).
public enum ReadStatus {
    /// One relation's rows, as text.
    public struct Part: Sendable {
        /// The relation, without its schema.
        public var name: String
        /// The heading for display.
        public var title: String
        public var columns: [String]
        /// Which columns hold numbers.
        public var isNumeric: [Bool]
        /// Which are booleans: `t` or `f`.
        public var isBoolean: [Bool]
        public var rows: [[String?]]

        public init(
            name: String, title: String, columns: [String], isNumeric: [Bool], isBoolean: [Bool], rows: [[String?]]
        ) {
            self.name = name
            self.title = title
            self.columns = columns
            self.isNumeric = isNumeric
            self.isBoolean = isBoolean
            self.rows = rows
        }

        /// A row's value in the column called `name`; nil for NULL.
        public func value(_ name: String, of row: [String?]) -> String? {
            columns.firstIndex(of: name).flatMap { row[$0] }
        }
    }

    private static let reads: [(name: String, title: String, sql: String)] = [
        (
            "queue_status", "Queue",
            """
            SELECT queued, due, sending, unknown, oldest_due_seconds, accepted_1m, accepted_5m, accepted_1h, failed_1m,
                   failed_5m, failed_1h, success_share, latency_p50_ms, latency_p95_ms, latency_p99_ms, workers_alive
              FROM otp.queue_status
            """
        ),
        (
            "channel_status", "Channels",
            """
            SELECT channel, is_routed, workers_alive, queued, accepted_1m, accepted_5m, accepted_1h, failed_1m, failed_5m,
                   failed_1h
              FROM otp.channel_status
            """
        ),
        (
            "route_status", "Steps of routes that cannot be used",
            """
            SELECT purpose, country, step, channel, problem
              FROM otp.route_status
             WHERE problem IS NOT NULL
             ORDER BY purpose, country, step
             LIMIT 20
            """
        ),
        (
            "worker_status", "Workers (heartbeat within an hour)",
            """
            SELECT worker_id AS worker, kind, host, pid, version, array_to_string(channels, ', ') AS channels, state, reason,
                   remedy, in_flight, claimed, accepted, failed, unknown, latency_p50_ms AS p50_ms, latency_p95_ms AS p95_ms, latency_p99_ms AS p99_ms,
                   round(extract(epoch FROM now() - heartbeat_at))::int AS heartbeat_seconds,
                   round(extract(epoch FROM now() - started_at))::int AS started_seconds, database_state AS database,
                   twilio_state AS twilio, mail_state AS mail, callbacks_received, callbacks_refused, callbacks_dropped, callbacks_written,
                   spans_exported, spans_dropped, spans_failed
              FROM otp.worker_status
             WHERE heartbeat_at > now() - interval '1 hour'
             ORDER BY worker_id DESC
             LIMIT 200
            """
        ),
        (
            "pause_status", "Pauses",
            """
            SELECT scope, reason, remedy, since::timestamptz(0), next_probe_at::timestamptz(0), probes, created_by, held,
                   round(extract(epoch FROM now() - since))::int AS since_seconds,
                   round(extract(epoch FROM next_probe_at - now()))::int AS next_probe_seconds
              FROM otp.pause_status
             ORDER BY scope
            """
        ),
        (
            "limit_status", "Shared limits (from 80% on)",
            """
            SELECT scope, key, extract(epoch FROM period)::int AS period_seconds, allowed, used,
                   used_up_until::timestamptz(0),
                   round(extract(epoch FROM used_up_until - now()))::int AS used_up_seconds
              FROM otp.limit_status
             WHERE used_up_until IS NOT NULL OR used >= 0.8 * allowed
             ORDER BY limit_status.used_up_until IS NULL, used / allowed DESC, scope, key
             LIMIT 20
            """
        ),
        (
            "fraud_status", "Held back, because codes are not used",
            """
            SELECT scope, key, is_enforced, explanation, remedy, sent_today, used_today, let_through, let_through_used,
                   round(extract(epoch FROM now() - since))::int AS since_seconds,
                   round(extract(epoch FROM until - now()))::int AS until_seconds
              FROM otp.fraud_status
             WHERE scope NOT IN ('total', 'budget')
             ORDER BY fraud_status.since DESC, scope, key
             LIMIT 20
            """
        ),
        (
            "refusals", "Refused requests",
            """
            SELECT scope, refused, refused_1h
              FROM otp.refusals
             WHERE refused > 0
             ORDER BY refusals.refused_1h DESC, scope
            """
        ),
        (
            "delivery_status", "Last sends",
            """
            SELECT send_job_id, subject, phone_number, channel, job_state, message_status, attempts, error_code, error,
                   remedy, requested_at::timestamptz(0), round(extract(epoch FROM now() - requested_at))::int AS requested_seconds
              FROM otp.delivery_status
             ORDER BY send_job_id DESC
             LIMIT 10
            """
        ),
        (
            "failures", "Last failures",
            """
            SELECT send_job_id, subject, phone_number, channel, job_state, message_status, attempts, error_code, error,
                   remedy, failed_at::timestamptz(0), round(extract(epoch FROM now() - failed_at))::int AS failed_seconds
              FROM otp.failures
             ORDER BY failures.failed_at DESC
             LIMIT 10
            """
        ),
        (
            "outcome_counts", "Outcomes in steps of five seconds",
            """
            SELECT extract(epoch FROM starts_at)::bigint / 5 AS step, sum(accepted) AS accepted, sum(failed) AS failed
              FROM otp.outcome_counts
             WHERE starts_at > now() - interval '20 minutes'
             GROUP BY 1
             ORDER BY 1
            """
        ),
        (
            "clock", "Clock",
            """
            SELECT extract(epoch FROM now())::float8 AS now, to_char(now(), 'HH24:MI:SS TZ') AS clock,
                   current_database() AS database,
                   (SELECT version || ' of ' || released_on FROM otp.number_table) AS numbers,
                   (SELECT current_date - released_on FROM otp.number_table) AS numbers_days
            """
        ),
    ]

    /// If prefixes have limits, these relations read the day's counts of all prefixes, so they are not read every
    /// second.
    public static let limits: Set = ["limit_status", "refusals"]

    /// Reads them in this order: `queue_status`, `channel_status`, `route_status`, `worker_status`, `pause_status`,
    /// `limit_status`, `fraud_status`, `refusals`, `delivery_status`, `failures`, `outcome_counts`, `clock`, without the excluded ones.
    public static func run(
        on connection: Connection, leavingOut: Set<String> = [], deadline: Instant
    ) async throws(PostgresError) -> [Part] {
        let reads = reads.filter { !leavingOut.contains($0.name) }
        let sql = reads.map(\.sql).joined(separator: ";\n")
        let results = try await connection.simple(sql, deadline: deadline, onCancellation: .drop)
        guard results.count == reads.count else { throw .misuse("the status has \(results.count) results") }
        var parts: [Part] = []
        for (read, result) in zip(reads, results) { parts.append(try part(read.name, read.title, result)) }
        return parts
    }

    static func part(
        _ name: String, _ title: String, _ sql: String, _ connection: Connection, _ deadline: Instant
    ) async throws(PostgresError) -> Part {
        guard let result = try await connection.simple(sql, deadline: deadline).last else {
            throw .misuse("reading \(name) returned no result")
        }
        return try part(name, title, result)
    }

    /// `named` lists the columns that are numbers, for a result whose values are all text.
    static func part(
        _ name: String, _ title: String, _ result: QueryResult, numbers named: Set<String> = []
    ) throws(PostgresError) -> Part {
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
            isNumeric: columns.indices.map {
                numbers.contains(result.type(of: $0).rawValue) || named.contains(columns[$0])
            }, isBoolean: columns.indices.map { result.type(of: $0).rawValue == 16 }, rows: rows)
    }
}
