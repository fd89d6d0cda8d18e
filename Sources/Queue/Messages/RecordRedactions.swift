public import EventLoop
public import Postgres

/// Records which messages have no text at Twilio any longer, and which keep theirs because every try failed. Twilio is
/// not asked about the former again, and `otp.delivery_status` reports the latter. The primary key serves it.
public enum RecordRedactions {
    static let statement = Statement(
        "otpd_record_redactions",
        """
        UPDATE otp.messages m
           SET redacted_at = CASE WHEN e.is_empty THEN now() END,
               next_poll_at = NULL,
               follow_up = CASE WHEN e.is_empty THEN m.follow_up
                                ELSE concat_ws(' ', m.follow_up, 'Its text is still at Twilio: deleting it failed.') END
          FROM (SELECT unnest($1::text[]) AS sid, true AS is_empty
                UNION ALL SELECT unnest($2::text[]), false) e
         WHERE m.message_sid = ANY ($1 || $2) AND m.message_sid || '' = e.sid AND m.redacted_at IS NULL
        """,
        [.textArray, .textArray])

    /// Records the `emptied` ones, and those that are `kept` for good. Repeating it is harmless for the former.
    public static func run(
        on connection: Connection, emptied: [String], kept: [String], deadline: Instant
    ) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(emptied.map { Optional($0) })
        parameters.append(kept.map { Optional($0) })
        _ = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
