public import EventLoop
public import OTP
public import Postgres

/// The SIDs that backends report (`otp.status_reports`). A report proves nothing, so Twilio is asked for each message:
/// once for a recorded one, and a few times for any other.
///
/// - A recorded message is polled at once, unless its status is final, and its report is closed.
/// - Any other report is returned for a lookup, and is due again after 15 s, doubling to an hour, eight times. Setting
///   that first shares the work between workers. If the message is recorded meanwhile, the next round closes its
///   report.
///
/// Rows that another session holds are left to the next round. `otp.status_reports_due` and the primary keys serve it.
public enum ReportedMessages {
    static let statement = Statement(
        "otpd_take_reports",
        """
        WITH due AS MATERIALIZED (
            SELECT r.send_job_id, r.slot, r.message_sid, r.attempt, r.tries,
                   (SELECT m.send_job_id
                      FROM otp.messages m
                     WHERE m.job_range = otp.range_of_message(r.message_sid)
                       AND m.message_sid = r.message_sid) AS known_as
              FROM otp.status_reports r
             WHERE r.due_at <= now()
             ORDER BY r.due_at
             LIMIT $1
               FOR UPDATE SKIP LOCKED
        ), hastened AS (
            UPDATE otp.messages m
               SET next_poll_at = now()
             WHERE m.job_range = ANY (ARRAY (SELECT otp.job_range(d.known_as) FROM due d))
               AND m.message_sid = ANY (ARRAY (
                   SELECT k.message_sid
                     FROM due d
                    CROSS JOIN LATERAL (SELECT k.message_sid FROM otp.messages k
                                         WHERE k.job_range = otp.job_range(d.known_as)
                                           AND k.message_sid = d.message_sid AND k.final_at IS NULL
                                           AND k.next_poll_at > now()
                                           FOR UPDATE SKIP LOCKED) k
                    WHERE d.known_as IS NOT NULL))
        ), moved AS (
            UPDATE otp.status_reports r
               SET tries = d.tries + 1,
                   due_at = CASE WHEN d.known_as IS NULL AND d.tries < 7
                                 THEN now() + least(interval '1 hour', interval '15 seconds' * 2 ^ d.tries) END
              FROM due d
             WHERE r.send_job_id = ANY (ARRAY (SELECT x.send_job_id FROM due x))
               AND r.send_job_id + 0 = d.send_job_id AND r.slot = d.slot
        )
        SELECT d.send_job_id, d.attempt, d.message_sid, d.tries::int, job.verification_id, job.requested_at,
               v.e164, v.sealed_code, v.key_id
          FROM due d
         CROSS JOIN LATERAL (
               SELECT j.verification_id, j.requested_at FROM otp.send_jobs j WHERE j.id = d.send_job_id
                UNION ALL
               SELECT u.verification_id, u.requested_at FROM otp.unsent_jobs u WHERE u.send_job_id = d.send_job_id
                UNION ALL
               SELECT m.verification_id, m.requested_at FROM otp.messages m
                WHERE m.send_job_id = d.send_job_id AND m.is_primary
                LIMIT 1) job
          LEFT JOIN LATERAL (SELECT v.e164, v.sealed_code, v.key_id FROM otp.verifications v
                              WHERE v.id = job.verification_id OFFSET 0) v ON true
         WHERE d.known_as IS NULL
        """, [.int4])

    static let closing = Statement(
        "otpd_close_report",
        "UPDATE otp.status_reports r SET due_at = NULL WHERE r.send_job_id = $1 AND r.message_sid = $2",
        [.int8, .text])

    /// Takes due reports without a recorded message, at most `limit`.
    public static func take(
        on connection: Connection, limit: Int, keys: CodeKeys, deadline: Instant
    ) async throws(PostgresError) -> [ReportedMessage] {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        let opener = keys.opener()
        return try result.map { row throws(PostgresError) in try ReportedMessage(&row, opener) }.compactMap(\.self)
    }

    /// Closes a report, because Twilio has no such message for the job.
    public static func close(on connection: Connection, _ report: ReportedMessage, deadline: Instant)
        async throws(PostgresError)
    {
        var parameters = Parameters()
        parameters.append(report.job)
        parameters.append(report.sid.description)
        _ = try await connection.execute(
            closing, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}

/// A message that a backend reported for a send job, to be looked up. It never prints its code.
public struct ReportedMessage: Sendable {
    /// The send job, and the attempt that the report names.
    public let job: Int64
    public let attempt: Int32
    public let sid: MessageSID
    /// Twilio did not know it twice. The third answer decides.
    public let isLastTry: Bool
    public let verificationID: Int64
    /// When the send was requested, in microseconds since the Unix epoch, by the database's clock.
    public let requestedAt: Int64
    /// The job's recipient; nil if its verification is deleted.
    public let recipient: PhoneNumber?
    /// The code that the message must hold. Nil if none of the worker's secrets opens its seal.
    public let code: Code?

    init?(_ row: inout RowReader, _ opener: borrowing CodeKeys.Opener) throws(PostgresError) {
        job = try row.next()
        attempt = try row.next()
        guard let sid = MessageSID((try row.next() as String?) ?? "") else { return nil }
        self.sid = sid
        isLastTry = (try row.next() as Int32) >= 2
        verificationID = try row.next()
        requestedAt = try row.nextUnixMicroseconds()
        recipient = (try row.next() as String?).flatMap { try? PhoneNumber(e164: $0) }
        code = opener.code(&row)
    }
}
