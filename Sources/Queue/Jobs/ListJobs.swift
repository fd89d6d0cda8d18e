public import EventLoop
public import Postgres

/// Reads send jobs for a person, the newest first.
///
/// Without a filter `send_jobs_pkey`, `messages_send_job` and `unsent_jobs_pkey` serve it, merged; by subject
/// `verifications_newest`; failures `unsent_jobs_failed` and `messages_in_error`. The view's name in ORDER BY is needed: a
/// bare name is the column that is read, which is text.
public enum ListJobs {
    public struct Filter: Sendable {
        /// One of our states.
        public var state: String?
        public var subject: String?
        /// What ended unsent, but for what was called off, and what did not arrive.
        public var isFailed = false
        /// Any spelling of a phone number: every send to it, and nothing else of the filter but `state` and `limit`. Takes a
        /// member of otp_admin.
        public var phoneNumber: String?
        public var limit = 20

        public init() {}
    }

    static let all = Statement(
        "otpd_list_jobs",
        """
        SELECT send_job_id::text, requested_at::timestamptz(0)::text, subject, phone_number, job_state, message_status,
               attempts::text, error_code::text, error, remedy
          FROM otp.delivery_status
         WHERE ($1::text IS NULL OR job_state = $1) AND ($2::text IS NULL OR subject = $2)
         ORDER BY delivery_status.send_job_id DESC
         LIMIT $3
        """,
        [.text, .text, .int8])
    static let failed = Statement(
        "otpd_list_failures",
        """
        SELECT send_job_id::text, failed_at::timestamptz(0)::text, subject, phone_number, job_state, message_status,
               attempts::text, error_code::text, error, remedy
          FROM otp.failures
         WHERE ($1::text IS NULL OR job_state = $1) AND ($2::text IS NULL OR subject = $2)
         ORDER BY failures.failed_at DESC
         LIMIT $3
        """,
        [.text, .text, .int8])

    /// By number: `verifications_phone`, then by verification. Found first and sorted then, so that no plan walks back
    /// through everybody's jobs.
    static let ofPhone = Statement(
        "otpd_list_jobs_of_phone",
        """
        WITH found AS MATERIALIZED (
            SELECT * FROM otp.delivery_status
             WHERE verification_id = ANY (ARRAY(SELECT otp.verifications_of_phone($2))))
        SELECT send_job_id::text, requested_at::timestamptz(0)::text, subject, phone_number, job_state, message_status,
               attempts::text, error_code::text, error, remedy
          FROM found
         WHERE $1::text IS NULL OR job_state = $1
         ORDER BY found.send_job_id DESC
         LIMIT $3
        """,
        [.text, .text, .int8])

    public static func run(
        on connection: Connection, _ filter: Filter, deadline: Instant
    ) async throws(PostgresError) -> ReadStatus.Part {
        var parameters = Parameters()
        parameters.append(filter.state)
        parameters.append(filter.phoneNumber ?? filter.subject)
        parameters.append(Int64(filter.limit))
        let statement = filter.phoneNumber != nil ? ofPhone : filter.isFailed ? failed : all
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .cancel)
        return try ReadStatus.part("jobs", "Jobs", result, numbers: ["send_job_id", "attempts", "error_code"])
    }
}
