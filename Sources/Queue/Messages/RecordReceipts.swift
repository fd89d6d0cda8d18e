public import EventLoop
public import OTP
public import Postgres

/// Records receipts from callbacks, with one call of `otp.record_status` each. A status never moves backwards. A SID
/// that is not recorded yet settles the attempt that it refers to.
///
/// Repeating it is harmless. Runs in the order of the SIDs, so that two workers with the same messages wait for each
/// other instead of deadlocking. The primary keys of `otp.messages` and `otp.send_jobs` serve it.
public enum RecordReceipts {
    static let statement = Statement(
        "otpd_record_receipts",
        """
        SELECT count(*) FILTER (WHERE r.is_known)::int
          FROM (SELECT otp.record_status(e.sid, e.status, e.error_code, e.reference) AS is_known
                  FROM (SELECT *
                          FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]) WITH ORDINALITY
                            AS u(sid, status, error_code, reference, position)
                         ORDER BY sid, position) e) r
        """,
        [.textArray, .textArray, .int4Array, .textArray])

    /// Records all of them or none. Returns how many belong to messages that were known, or became known by them.
    public static func run(on connection: Connection, _ receipts: [Receipt], deadline: Instant)
        async throws(PostgresError) -> Int
    {
        var parameters = Parameters()
        parameters.append(receipts.map { Optional($0.sid.description) })
        parameters.append(receipts.map { Optional($0.status.rawValue) })
        parameters.append(receipts.map(\.errorCode))
        parameters.append(receipts.map { $0.attempt?.description })
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        return Int(try result.int32(0, 0))
    }
}
