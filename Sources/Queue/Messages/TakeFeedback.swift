public import EventLoop
public import Postgres

/// Takes verified codes that Twilio has not been told of (`otp.feedback_due`), each with the message to confirm. A row is
/// this worker's until its lease ends; then any worker takes it again. A second confirmation is harmless.
///
/// A verification may have several messages with the same code, and one of them was used. It is taken to be the newest
/// text message that was delivered, or else the newest whose end is not known, or else the newest that is said not to
/// have arrived, because receipts can be wrong. A message that never left Twilio is not confirmed. If another channel
/// carried the code too, only a delivered text message is confirmed.
///
/// The index on `due_at`, the primary key, and the indexes on the verification of messages and jobs serve it.
public enum TakeFeedback {
    static let statement = Statement(
        "otpd_take_feedback",
        """
        WITH due AS MATERIALIZED (
            SELECT f.verification_id
              FROM otp.feedback_due f
             WHERE f.due_at <= now()
             ORDER BY f.due_at
             LIMIT $1
               FOR UPDATE SKIP LOCKED
        )
        UPDATE otp.feedback_due f
           SET due_at = now() + make_interval(secs => $2)
         WHERE f.verification_id = ANY (ARRAY (SELECT d.verification_id FROM due d))
        RETURNING f.verification_id, f.tries::int, extract(epoch FROM now() - f.verified_at)::float8,
                  (SELECT m.message_sid
                     FROM otp.messages m
                    WHERE m.verification_id = f.verification_id AND m.channel = 'sms'
                      AND m.requested_at <= f.verified_at AND m.status NOT IN ('failed', 'canceled')
                      AND (m.status = 'delivered'
                           OR NOT EXISTS (SELECT
                                            FROM otp.messages o
                                           WHERE o.verification_id = f.verification_id AND o.channel <> 'sms'
                                             AND o.requested_at <= f.verified_at))
                    ORDER BY CASE m.status WHEN 'delivered' THEN 0 WHEN 'undelivered' THEN 2 ELSE 1 END,
                             m.requested_at DESC, m.message_sid
                    LIMIT 1),
                  EXISTS (SELECT
                            FROM otp.send_jobs j
                           WHERE j.verification_id = f.verification_id AND j.channel = 'sms'
                             AND j.requested_at <= f.verified_at)
        """,
        [.int4, .float8])

    /// A verified code that Twilio has not been told of.
    public struct Item: Sendable, Equatable {
        /// The verification.
        public var verification: Int64
        /// The message to confirm; nil if there is none yet.
        public var sid: String?
        /// Whether a message may still come: a job of the code has not ended.
        public var isPending: Bool
        /// Requests that ended without a clear answer.
        public var tries: Int
        /// Since the verification.
        public var age: Instant.Duration

        public init(verification: Int64, sid: String?, isPending: Bool = false, tries: Int = 0, age: Instant.Duration) {
            (self.verification, self.sid, self.isPending) = (verification, sid, isPending)
            (self.tries, self.age) = (tries, age)
        }
    }

    /// Takes at most `limit` codes for the time of `lease`.
    public static func run(
        on connection: Connection, limit: Int, lease: Instant.Duration, deadline: Instant
    ) async throws(PostgresError) -> [Item] {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        parameters.append(lease.seconds)
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return try result.map { row throws(PostgresError) in
            let verification: Int64 = try row.next()
            let tries: Int = try row.next()
            let age = try row.nextDuration() ?? .seconds(0)
            return Item(
                verification: verification, sid: try row.next(), isPending: try row.next(), tries: tries,
                age: age)
        }
    }
}
