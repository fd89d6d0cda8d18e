public import EventLoop
import OTP
public import Postgres
public import Tracing

/// Reads the callers' spans of messages, for the spans of their receipts. It runs only in a process that exports traces.
///
/// The primary keys of `otp.messages` and `otp.verifications` serve it.
public enum TracedMessages {
    static let statement = Statement(
        "otpd_traced_messages",
        """
        SELECT e.position::int - 1, m.send_job_id, m.attempt, m.channel, m.traceparent,
               (SELECT v.country FROM otp.verifications v WHERE v.id = m.verification_id),
               otp.status_advances(m.status, e.status)
          FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS e(sid, status, job, position)
         CROSS JOIN LATERAL (SELECT m.*
                               FROM otp.messages m
                              WHERE m.job_range = coalesce(otp.job_range(e.job), otp.range_of_message(e.sid))
                                AND m.message_sid = e.sid OFFSET 0) m
         WHERE m.traceparent IS NOT NULL
         ORDER BY e.position
        """,
        [.textArray, .textArray, .int8Array])

    /// A message of a request with a trace.
    public struct Message: Sendable {
        /// Its place among the given statuses.
        public var index: Int
        public var job: Span.Job
        /// The caller's span.
        public var caller: TraceContext
        /// Whether the given status is later than the recorded one.
        public var isNews: Bool

        public init(index: Int, job: Span.Job, caller: TraceContext, isNews: Bool) {
            (self.index, self.job, self.caller, self.isNews) = (index, job, caller, isNews)
        }

        /// The content of its receipt's span.
        public func receipt(sid: String, _ status: String, _ errorCode: Int32?, _ source: Span.Receipt.Source)
            -> Span.Receipt
        {
            Span.Receipt(job: job, sid: sid, status: status, errorCode: errorCode, source: source)
        }
    }

    /// Finds those of these messages that have a trace. `job` is nil if a callback does not name it.
    public static func run(
        on connection: Connection, _ statuses: [(job: Int64?, sid: String, status: String)], deadline: Instant
    ) async throws(PostgresError) -> [Message] {
        var parameters = Parameters()
        parameters.append(statuses.map { Optional($0.sid) })
        parameters.append(statuses.map { Optional($0.status) })
        parameters.append(statuses.map(\.job))
        let result = try await connection.execute(
            statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var messages: [Message] = []
        for row in 0..<result.rowCount {
            var row = result.reader(row)
            let index: Int = try row.next()
            let (job, attempt): (Int64, Int32) = (try row.next(), try row.next())
            let channel = Channel(rawValue: try row.next()) ?? .sms
            let caller = TraceContext(traceparent: try row.next())
            let country: String? = try row.next()
            let isNews: Bool = try row.next()
            guard let caller else { continue }
            messages.append(
                Message(
                    index: index, job: Span.Job(id: job, attempt: attempt, channel: channel, country: country ?? ""),
                    caller: caller, isNews: isNews))
        }
        return messages
    }
}
