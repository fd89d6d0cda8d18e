public import EventLoop
public import Postgres

/// Reads what `otpd dashboard` draws, from `otp.history`: at most 1,560 rows, however much history there is.
public enum ReadHistory {
    /// Of the last day every five minutes are one point, so that both have about as many.
    private static func points(_ span: String, every step: String) -> String {
        """
        SELECT extract(epoch FROM date_bin('\(step)', minute, 'epoch'))::bigint AS at, count(*) AS minutes,
               max(queued) AS queued, max(due) AS due, max(oldest_due_seconds) AS oldest,
               sum(accepted) AS accepted, sum(failed) AS failed, max(latency_p50_ms) AS p50, max(latency_p95_ms) AS p95,
               max(latency_p99_ms) AS p99, sum(delivered) AS delivered, sum(undelivered) AS undelivered
          FROM otp.history
         WHERE minute > now() - interval '\(span)'
         GROUP BY 1
         ORDER BY 1
        """
    }

    private static let reads: [(name: String, sql: String)] = [
        ("hour", points("1 hour", every: "1 minute")),
        ("day", points("1 day", every: "5 minutes")),
        (
            "deliveries",
            """
            SELECT coalesce(m.country, '—') AS country, m.status, coalesce(sum(m.messages)
                       FILTER (WHERE h.minute > now() - interval '1 hour'), 0) AS hour, sum(m.messages) AS day
              FROM otp.history h
             CROSS JOIN LATERAL jsonb_to_recordset(h.messages) AS m(country text, status text, messages bigint)
             WHERE h.minute > now() - interval '1 day'
             GROUP BY 1, 2
             ORDER BY day DESC, 1, 2
             LIMIT 500
            """
        ),
        ("spend", "SELECT currency, billed, expected, budget FROM otp.spend_today ORDER BY budget IS NULL, currency"),
        ("sent_twice", "SELECT messages FROM otp.sent_twice"),
        ("clock", "SELECT extract(epoch FROM now())::bigint AS now"),
    ]

    /// Reads, in one round trip: `hour` and `day` (the points of the plots), `deliveries`, `spend`, `sent_twice`, `clock`.
    public static func run(
        on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> [ReadStatus.Part] {
        let results = try await connection.simple(
            reads.map(\.sql).joined(separator: ";\n"), deadline: deadline, onCancellation: .drop)
        guard results.count == reads.count else { throw .misuse("the history brought \(results.count) results") }
        var parts: [ReadStatus.Part] = []
        for (read, result) in zip(reads, results) { parts.append(try ReadStatus.part(read.name, "", result)) }
        return parts
    }
}
