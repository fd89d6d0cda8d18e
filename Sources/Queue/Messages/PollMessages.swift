public import EventLoop
public import Postgres

/// Takes messages whose status is not final and due to be asked for, and sets when they are due again: 2 s after the
/// acceptance, then twice as long each time, an hour at most, for a day. Setting it first shares the work between workers
/// and bounds it when Twilio does not answer.
///
/// The partial index on `next_poll_at` serves it.
public enum PollMessages {
    static let statement = Statement(
        "otpd_poll_messages",
        """
        WITH due AS MATERIALIZED (
            SELECT message_sid
              FROM otp.messages
             WHERE final_at IS NULL AND next_poll_at <= now()
             ORDER BY next_poll_at
             LIMIT $1
               FOR UPDATE SKIP LOCKED
        )
        UPDATE otp.messages m
           SET polls = m.polls + 1,
               next_poll_at = CASE WHEN m.accepted_at > now() - interval '1 day'
                                   THEN now() + least(interval '1 hour', interval '2 seconds' * 2 ^ m.polls) END
          FROM due
         WHERE m.message_sid = due.message_sid
        RETURNING m.message_sid
        """,
        [.int4])

    /// The SIDs of at most `limit` messages to fetch now.
    public static func run(on connection: Connection, limit: Int, deadline: Instant) async throws(PostgresError)
        -> [String]
    {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var sids: [String] = []
        for row in 0..<result.rowCount { sids.append(try result.string(row, 0)) }
        return sids
    }
}
