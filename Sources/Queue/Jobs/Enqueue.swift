public import EventLoop
public import Postgres

/// Requests a code as a backend does: a verification and its send job, in one transaction.
///
/// A missing value is passed as NULL, and the trigger fills it in. So a member of `otp_web` may run this, which may not
/// read `otp.settings` itself.
public enum Enqueue {
    static let statement = Statement(
        "otpd_enqueue",
        """
        WITH v AS (
            INSERT INTO otp.verifications (subject, phone_number, region, purpose, locale)
            VALUES ($1, $2, $3, $4, $5)
            RETURNING id
        ), j AS (
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v RETURNING id, verification_id
        )
        SELECT id, verification_id FROM j
        """,
        [.text, .text, .text, .text, .text])

    /// The keys of the new rows.
    public struct Enqueued: Sendable {
        public var sendJobID: Int64
        public var verificationID: Int64
    }

    /// Enqueues one send. The database refuses invalid requests (`OT001`…`OT007`).
    public static func run(
        on connection: Connection, subject: String, phoneNumber: String, region: String?, purpose: String?,
        locale: String?, deadline: Instant
    ) async throws(PostgresError) -> Enqueued {
        var parameters = Parameters()
        parameters.append(subject)
        parameters.append(phoneNumber)
        for value in [region, purpose, locale] { parameters.append(value) }
        let result = try await connection.execute(statement, parameters, deadline: deadline, onDeadline: .cancel)
        var row = result.reader()
        return Enqueued(sendJobID: try row.next(), verificationID: try row.next())
    }
}
