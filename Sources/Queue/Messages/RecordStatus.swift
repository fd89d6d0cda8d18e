public import EventLoop
public import Postgres

/// The current state of a message at Twilio.
public struct MessageReport: Sendable, Equatable {
    /// The message.
    public var key: MessageKey
    /// Twilio's word, verbatim.
    public var status: String
    /// The reason of a delivery failure.
    public var errorCode: Int32?
    /// SMS segments billed.
    public var segments: Int32?
    /// As Twilio writes it: a negative decimal number in `priceUnit`, or nil.
    public var price: String?
    /// ISO 4217.
    public var priceUnit: String?
    /// The sender.
    public var sender: String?

    public init(
        _ key: MessageKey, status: String, errorCode: Int32?, segments: Int32?, price: String?, priceUnit: String?,
        sender: String?
    ) {
        self.key = key
        self.status = status
        self.errorCode = errorCode
        self.segments = segments
        self.price = price
        self.priceUnit = priceUnit
        self.sender = sender
    }
}

extension MessageReport {
    /// Whether it may lead to a further send or a pause.
    fileprivate var isFailure: Bool { ["failed", "undelivered", "busy", "no-answer"].contains(status) }
}

/// Records the state of messages at Twilio. A status never moves backwards (`otp.status_advances`); the other fields
/// are filled in. A settled message is not polled again, except to empty its text if `otp.settings.redact_bodies` asks
/// for that.
///
/// A recorded last status stays final. The trigger handles a failure (`otp.delivery_failed`).
///
/// Repeating it is harmless. A row that another session holds is left to the next poll. The primary key serves it.
///
/// Each failed delivery is recorded in its own transaction, because the trigger locks the verification and the counts
/// of its limits, as a request does. Two of them in one transaction could deadlock: it would hold the counts of the
/// first, which users of one address share, while it waits for the verification of the second. A user who requests that
/// code again waits the other way round, and PostgreSQL refuses one of the two.
public enum RecordStatus {
    static let statement = Statement(
        "otpd_record_status",
        """
        WITH s AS MATERIALIZED (
            SELECT o.*, e.price_unit, e.sender
              FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::bigint[])
                AS e(sid, status, error_code, segments, price, price_unit, sender, job)
             CROSS JOIN LATERAL (
                   SELECT o.job_range, o.message_sid,
                          CASE WHEN otp.status_advances(o.status, e.status) THEN e.status ELSE o.status END AS status,
                          CASE WHEN otp.status_advances(o.status, e.status) THEN coalesce(e.error_code, o.error_code)
                               WHEN o.status = e.status THEN coalesce(o.error_code, e.error_code)
                               ELSE o.error_code END AS error_code,
                          coalesce(e.segments::smallint, o.segments) AS segments,
                          coalesce(e.price::numeric, o.price) AS price
                     FROM otp.messages o
                    WHERE o.job_range = otp.job_range(e.job) AND o.message_sid = e.sid
                      FOR UPDATE SKIP LOCKED) o
        )
        UPDATE otp.messages m
           SET status = s.status,
               error_code = s.error_code,
               segments = s.segments,
               price = s.price,
               price_unit = coalesce(s.price_unit, m.price_unit),
               sender = coalesce(m.sender, s.sender),
               final_at = coalesce(m.final_at, CASE WHEN otp.status_rank(s.status) >= 50 THEN now() END),
               next_poll_at = CASE WHEN NOT otp.is_settled(s.status, s.segments, s.price) THEN m.next_poll_at
                                   WHEN m.redacted_at IS NULL AND (SELECT redact_bodies FROM otp.settings)
                                   THEN greatest(now(), (SELECT v.expires_at FROM otp.verifications v
                                                          WHERE v.id = m.verification_id)) END
          FROM s
         WHERE m.job_range = ANY (ARRAY (SELECT r.job_range FROM s r)) AND m.message_sid = ANY ($1)
           AND m.job_range + 0 = s.job_range AND m.message_sid || '' = s.message_sid
        """,
        [.textArray, .textArray, .int4Array, .int4Array, .textArray, .textArray, .textArray, .int8Array])

    /// Records all reports, failures last. A report that the database refuses delays no other. It is left to the next
    /// poll, and the last refusal is returned.
    public static func run(on connection: Connection, _ reports: [MessageReport], deadline: Instant)
        async throws(PostgresError) -> PostgresError?
    {
        let others = reports.filter { !$0.isFailure }
        var parts = reports.filter(\.isFailure).map { [$0] }
        if !others.isEmpty { parts.insert(others, at: 0) }
        var refusal: PostgresError?
        var index = 0
        while index < parts.count {
            do {
                try await write(parts[index], on: connection, deadline: deadline)
            } catch {
                guard case .server = error else { throw error }
                if parts[index].count > 1 { parts += parts[index].map { [$0] } } else { refusal = error }
            }
            index += 1
        }
        return refusal
    }

    private static func write(_ reports: [MessageReport], on connection: Connection, deadline: Instant)
        async throws(PostgresError)
    {
        var parameters = Parameters()
        parameters.append(reports.map(\.key.sid))
        parameters.append(reports.map(\.status))
        parameters.append(reports.map(\.errorCode))
        parameters.append(reports.map(\.segments))
        parameters.append(reports.map(\.price))
        parameters.append(reports.map(\.priceUnit))
        parameters.append(reports.map(\.sender))
        parameters.append(reports.lazy.map(\.key.job))
        _ = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
