public import EventLoop
public import Postgres

/// Reads the data of `otpd dashboard`'s charts, from `otp.history` and `otp.history_quarters`. That is at most 1,440
/// short rows, however long the history is.
public enum ReadHistory {
    /// The period to read.
    public enum Span: Sendable {
        case hour
        /// One point for five minutes, to limit their number.
        case day
    }

    private static func points(_ span: Span) -> String {
        let (length, step) = span == .hour ? ("1 hour", "1 minute") : ("1 day", "5 minutes")
        return """
            SELECT extract(epoch FROM date_bin('\(step)', minute, 'epoch'))::bigint AS at, count(*) AS minutes,
                   max(queued) AS queued, max(due) AS due, max(oldest_due_seconds) AS oldest,
                   sum(accepted) AS accepted, sum(failed) AS failed, max(latency_p50_ms) AS p50,
                   max(latency_p95_ms) AS p95, max(latency_p99_ms) AS p99, sum(delivered) AS delivered,
                   sum(undelivered) AS undelivered
              FROM otp.history
             WHERE minute > now() - interval '\(length)'
             GROUP BY 1
             ORDER BY 1
            """
    }

    /// The rows with the messages of a period.
    private static func rows(_ span: Span) -> String {
        span == .hour
            ? "otp.history h WHERE h.minute > now() - interval '1 hour'"
            : "otp.history_quarters h WHERE h.starts_at > now() - interval '1 day'"
    }

    private static func channels(_ span: Span) -> String {
        """
        SELECT coalesce(m.channel, 'sms') AS channel, sum(m.messages) AS messages,
               coalesce(sum(m.messages) FILTER (WHERE m.status IN ('delivered', 'read')), 0) AS delivered,
               coalesce(sum(m.messages) FILTER (WHERE m.status IN ('undelivered', 'failed', 'busy', 'no-answer')), 0)
                   AS undelivered,
               coalesce(sum(m.verified), 0) AS verified
          FROM (SELECT h.messages FROM \(rows(span))) h
         CROSS JOIN LATERAL jsonb_to_recordset(h.messages)
             AS m(channel text, status text, messages bigint, verified bigint)
         GROUP BY 1
         ORDER BY 2 DESC, 1
        """
    }

    private static func deliveries(_ span: Span) -> String {
        """
        SELECT coalesce(m.country, '—') AS country, m.status, sum(m.messages) AS messages
          FROM (SELECT h.messages FROM \(rows(span))) h
         CROSS JOIN LATERAL jsonb_to_recordset(h.messages) AS m(country text, status text, messages bigint)
         GROUP BY 1, 2
         ORDER BY 3 DESC, 1, 2
         LIMIT 500
        """
    }

    /// Reads in one round trip. For a period it reads `points` and `deliveries`, and always `channels` (without a period,
    /// of the last hour), `channel_spend`, `spend`, `sent_twice`, `feedback`, `risk_checks` and `clock`.
    public static func run(
        on connection: Connection, _ span: Span?, deadline: Instant
    ) async throws(PostgresError) -> [ReadStatus.Part] {
        let ofSpan = span.map { [("points", points($0)), ("deliveries", deliveries($0))] } ?? []
        let reads =
            ofSpan + [
                ("channels", channels(span ?? .hour)),
                (
                    "channel_spend",
                    "SELECT channel, currency, billed, expected FROM otp.channel_spend ORDER BY channel, currency"
                ),
                (
                    "spend",
                    "SELECT currency, billed, expected, budget FROM otp.spend_today ORDER BY budget IS NULL, currency"
                ),
                ("sent_twice", "SELECT messages FROM otp.sent_twice"),
                ("feedback", "SELECT outcome, codes FROM otp.feedback_counts ORDER BY outcome"),
                ("risk_checks", "SELECT outcome, checks FROM otp.risk_check_counts ORDER BY outcome"),
                ("clock", "SELECT extract(epoch FROM now())::bigint AS now"),
            ]
        let results = try await connection.simple(
            reads.map(\.1).joined(separator: ";\n"), deadline: deadline, onCancellation: .drop)
        guard results.count == reads.count else { throw .misuse("the history has \(results.count) results") }
        var parts: [ReadStatus.Part] = []
        for (read, result) in zip(reads, results) { parts.append(try ReadStatus.part(read.0, "", result)) }
        return parts
    }
}
