public import EventLoop
public import Postgres

/// Verifies a code as a backend does, in its own transaction. A wrong code counts as a try (SQL `otp.verify`).
public enum VerifyCode {
    static let statement = Statement(
        "otpd_verify", "SELECT otp.verify($1, $2, coalesce($3, 'phone_verification'))", [.text, .text, .text])

    public static func run(
        on connection: Connection, subject: String, code: String, purpose: String?, deadline: Instant
    ) async throws(PostgresError) -> Bool {
        var parameters = Parameters()
        for value in [subject, code, purpose] { parameters.append(value) }
        // Not canceled at the deadline, because it would be unknown whether the try counted.
        let result = try await connection.execute(statement, parameters, deadline: deadline)
        var row = result.reader()
        return try row.next()
    }
}
