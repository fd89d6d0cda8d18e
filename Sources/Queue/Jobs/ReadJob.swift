public import EventLoop
public import Postgres

/// Reads everything about one send job, and the other sends of its code. The keys of the three tables serve it, and
/// their indexes on `verification_id`.
public enum ReadJob {
    private static func job(_ id: Int64) -> String {
        """
        SELECT send_job_id, verification_id, subject, phone_number, country, channel, purpose, locale, job_state,
               message_status, attempts, worker, error_code, error_class, error, remedy, message_sid, sender, segments,
               price, price_unit, follows, follow_up, hold_kind, hold_key, lookups, wrong_tries,
               requested_at::timestamptz(0), due_at::timestamptz(0), lease_expires_at::timestamptz(0),
               unknown_at::timestamptz(0), next_lookup_at::timestamptz(0), accepted_at::timestamptz(0),
               next_poll_at::timestamptz(0), final_at::timestamptz(0), ended_at::timestamptz(0),
               code_drawn_at::timestamptz(0), code_expires_at::timestamptz(0), verified_at::timestamptz(0),
               canceled_at::timestamptz(0), code_expires_at <= now() AS code_is_dead,
               round(extract(epoch FROM accepted_at - requested_at) * 1000)::bigint AS latency_ms
          FROM otp.job_details
         WHERE send_job_id = \(id)
        """
    }

    private static func sends(_ id: Int64) -> String {
        """
        SELECT s.send_job_id, s.requested_at::timestamptz(0), s.job_state, s.message_status, s.attempts, s.error_code,
               s.error
          FROM otp.delivery_status s
         WHERE s.verification_id = (SELECT d.verification_id FROM otp.delivery_status d WHERE d.send_job_id = \(id))
         ORDER BY s.send_job_id
        """
    }

    /// The job in one row or none, and all sends of its verification.
    public static func run(
        on connection: Connection, _ id: Int64, deadline: Instant
    ) async throws(PostgresError) -> (job: ReadStatus.Part, sends: ReadStatus.Part) {
        let results = try await connection.simple(
            "\(job(id));\n\(sends(id))", deadline: deadline, onCancellation: .drop)
        guard results.count == 2 else { throw .misuse("reading a job returned \(results.count) results") }
        return (
            try ReadStatus.part("job", "Send job \(id)", results[0]),
            try ReadStatus.part("sends", "Sends of this code", results[1])
        )
    }
}
