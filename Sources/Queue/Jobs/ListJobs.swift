public import EventLoop
public import Postgres

/// Reads send jobs for display, the newest first.
///
/// Without a filter `send_jobs_pkey`, `messages_send_job` and `unsent_jobs_pkey` serve it, merged. By subject it is
/// `verifications_newest`; for failures `unsent_jobs_failed` and `messages_in_error`. ORDER BY needs the view's name,
/// because a bare name means the output column, which is text.
public enum ListJobs {
    public struct Filter: Sendable {
        /// One of the job states.
        public var state: String?
        public var subject: String?
        /// Failures: jobs that ended unsent, except canceled ones, and messages that did not arrive.
        public var isFailed = false
        /// A phone number in any spelling: lists every send to it. Of the other filters only `state` and `limit` apply.
        /// Needs a member of otp_admin.
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

    /// By number: `verifications_phone`, then by verification. Found first and then sorted, so that no plan walks back
    /// through all jobs.
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
