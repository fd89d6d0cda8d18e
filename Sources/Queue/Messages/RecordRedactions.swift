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
          FROM unnest($1::bigint[], $2::text[], $3::bool[]) AS e(job, sid, is_empty)
         WHERE m.job_range = ANY (ARRAY (SELECT otp.job_range(j) FROM unnest($1) j)) AND m.message_sid = ANY ($2)
           AND m.job_range + 0 = otp.job_range(e.job) AND m.message_sid || '' = e.sid AND m.redacted_at IS NULL
        """,
        [.int8Array, .textArray, .boolArray])

    /// Records the `emptied` ones, and those that are `kept` for good. Repeating it is harmless for the former.
    public static func run(
        on connection: Connection, emptied: [MessageKey], kept: [MessageKey], deadline: Instant
    ) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append((emptied + kept).lazy.map(\.job))
        parameters.append((emptied + kept).map(\.sid))
        parameters.append(emptied.map { _ in true } + kept.map { _ in false })
        _ = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
