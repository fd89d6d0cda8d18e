public import EventLoop
public import Postgres

/// Sends a job again or at once, on an operator's command (SQL `otp.retry_job`).
public enum RetryJob {
    static let statement = Statement("otpd_retry_job", "SELECT otp.retry_job($1)", [.int8])

    /// Returns the job that is sent, which is a new one if this one had ended. `OT006` if it cannot be sent, `OT001`
    /// beyond a limit.
    public static func run(on connection: Connection, _ id: Int64, deadline: Instant) async throws(PostgresError)
        -> Int64
    {
        var parameters = Parameters()
        parameters.append(id)
        let result = try await connection.execute(statement, parameters, deadline: deadline, onDeadline: .cancel)
        var row = result.reader()
        return try row.next()
    }
}

/// Cancels a queued job, on an operator's command (SQL `otp.cancel_job`).
public enum CancelJob {
    static let statement = Statement("otpd_cancel_job", "SELECT otp.cancel_job($1)", [.int8])

    /// `OT006` if it is not queued.
    public static func run(on connection: Connection, _ id: Int64, deadline: Instant) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(id)
        _ = try await connection.execute(statement, parameters, deadline: deadline, onDeadline: .cancel)
    }
}
