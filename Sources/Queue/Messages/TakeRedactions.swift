public import EventLoop
public import Postgres

/// Forgets the verifications whose sends under way have ended, and takes messages of forgotten people whose texts are to
/// be emptied at Twilio (`otp.take_redactions`). It sets when each is due again, so workers share them.
///
/// Both tables are empty unless an operator called `otp.forget`. `pending_redactions_due` and `send_jobs_verification`
/// serve it.
public enum TakeRedactions {
    static let statement = Statement(
        "otpd_take_redactions", "SELECT message_sid, is_last_try FROM otp.take_redactions($1)", [.int4])
    static let emptied = Statement(
        "otpd_end_redactions", "DELETE FROM otp.pending_redactions WHERE message_sid = ANY ($1)", [.textArray])

    /// Takes at most `limit` messages.
    public static func run(
        on connection: Connection, limit: Int, deadline: Instant
    ) async throws(PostgresError) -> [PollMessages.Redaction] {
        var parameters = Parameters()
        parameters.append(Int32(limit))
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var taken: [PollMessages.Redaction] = []
        for index in 0..<result.rowCount {
            var row = result.reader(index)
            let key = MessageKey(job: 0, sid: try row.next())
            taken.append(PollMessages.Redaction(key: key, isLastTry: try row.next()))
        }
        return taken
    }

    /// Forgets messages whose texts are empty now. Repeating it is harmless.
    public static func end(
        on connection: Connection, _ sids: [String], deadline: Instant
    ) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(sids.map { Optional($0) })
        _ = try await connection.execute(
            emptied, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
