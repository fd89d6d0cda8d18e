public import EventLoop
public import Postgres

/// Takes messages that are due for a request to Twilio, and sets when they are due again. Setting that first shares the
/// work between workers, and limits it while Twilio does not answer.
///
/// - A message is fetched until it is settled (`otp.is_settled`: status and bill final). First 2 s after the
///   acceptance, then after twice the time each, at most an hour (6 hours if only the price is missing), for a day.
/// - A call that has not rung when its code has ended is canceled, until Twilio says how it ended.
/// - With `otp.settings.redact_bodies`, its text is then emptied, once its code has expired and no send of it is live
///   or unknown. There are twelve tries: a minute between the first two, then twice the time each, at most an hour.
/// - After that `next_poll_at` is null.
///
/// The partial index on `next_poll_at` and the primary keys serve it, whatever the statistics say (as in `Claim`).
public enum PollMessages {
    static let statement = Statement(
        "otpd_poll_messages",
        """
        WITH due AS MATERIALIZED (
            SELECT m.job_range, m.message_sid, m.verification_id, m.redacted_at, m.channel, m.status,
                   m.accepted_at <= now() - interval '1 day'
                   OR (m.final_at IS NOT NULL AND otp.is_settled(m.status, m.segments, m.price)) AS is_done
              FROM otp.messages m
             WHERE m.next_poll_at <= now()
             ORDER BY m.next_poll_at
             LIMIT $1
               FOR UPDATE SKIP LOCKED
        ), step AS MATERIALIZED (
            SELECT d.job_range, d.message_sid, v.expires_at,
                   CASE WHEN d.channel = 'call' AND NOT d.is_done AND d.status IN ('queued', 'initiated')
                             AND v.has_ended THEN 'cancel'
                        WHEN NOT d.is_done THEN 'fetch'
                        WHEN NOT s.redact_bodies OR d.redacted_at IS NOT NULL OR d.channel = 'call' THEN 'leave'
                        WHEN v.expires_at > now() OR (SELECT true FROM otp.send_jobs j
                                                       WHERE j.verification_id = d.verification_id LIMIT 1) THEN 'wait'
                        ELSE 'redact' END AS step
              FROM due d
             CROSS JOIN otp.settings s
              LEFT JOIN LATERAL (SELECT v.expires_at,
                                        v.expires_at <= now() OR v.verified_at IS NOT NULL
                                        OR v.canceled_at IS NOT NULL AS has_ended
                                   FROM otp.verifications v
                                  WHERE v.id = d.verification_id OFFSET 0) v ON true
        )
        UPDATE otp.messages m
           SET polls = m.polls + (s.step IN ('fetch', 'cancel'))::int,
               redactions = m.redactions + (s.step = 'redact')::int,
               next_poll_at = CASE s.step
                   WHEN 'cancel' THEN now() + least(interval '1 hour', interval '2 seconds' * 2 ^ m.polls)
                   WHEN 'fetch' THEN least(
                       now() + least(CASE WHEN m.final_at IS NULL THEN interval '1 hour' ELSE interval '6 hours' END,
                                     interval '2 seconds' * 2 ^ m.polls),
                       -- A call that has not rung when its code expires is canceled.
                       CASE WHEN m.channel = 'call' AND m.status IN ('queued', 'initiated') AND s.expires_at > now()
                            THEN s.expires_at END)
                   WHEN 'wait' THEN greatest(s.expires_at, now() + interval '1 minute')
                   WHEN 'redact' THEN CASE WHEN m.redactions < 11
                                           THEN now() + least(interval '1 hour', interval '1 minute' * 2 ^ m.redactions)
                                      END END
          FROM step s
         WHERE m.job_range = ANY (ARRAY (SELECT d.job_range FROM due d))
           AND m.message_sid = ANY (ARRAY (SELECT d.message_sid FROM due d))
           AND m.job_range + 0 = s.job_range AND m.message_sid || '' = s.message_sid
        RETURNING m.send_job_id, m.message_sid, s.step, m.next_poll_at IS NULL
        """,
        [.int4])

    /// The messages that are due.
    public struct Due: Sendable, Equatable {
        /// Messages to fetch, for their status and bill.
        public var toFetch: [MessageKey] = []
        /// Calls to be canceled, because their codes have ended.
        public var toCancel: [MessageKey] = []
        /// Messages whose text is to be emptied.
        public var toRedact: [Redaction] = []
        /// How many were taken, including those that are not due yet.
        public var taken = 0
    }

    /// A text to be emptied.
    public struct Redaction: Sendable, Equatable {
        /// The message. Its job is 0 if its person was forgotten, because then it is not recorded any longer.
        public var key: MessageKey
        /// Whether this try is the last.
        public var isLastTry: Bool
    }

    /// Takes at most `limit` messages.
    public static func run(on connection: Connection, limit: Int, deadline: Instant) async throws(PostgresError) -> Due
    {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var due = Due()
        due.taken = result.rowCount
        for index in 0..<result.rowCount {
            var row = result.reader(index)
            let key = MessageKey(job: try row.next(), sid: try row.next())
            let what: String = try row.next()
            switch what {
            case "fetch": due.toFetch.append(key)
            case "cancel": due.toCancel.append(key)
            case "redact": due.toRedact.append(Redaction(key: key, isLastTry: try row.next()))
            default: break
            }
        }
        return due
    }
}
