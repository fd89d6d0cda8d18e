public import EventLoop
public import Postgres

/// Records what became of feedback: ends rows of `otp.feedback_due` and counts them in `otp.feedback_counts`, or sets when
/// they are due again. Both primary keys serve it. A row that another worker has ended is not counted twice.
public struct FinishFeedback: Sendable, Equatable {
    static let statement = Statement(
        "otpd_finish_feedback",
        """
        WITH gone AS (
            DELETE FROM otp.feedback_due f
             WHERE f.verification_id = ANY ($1)
         RETURNING f.verification_id
        ), again AS (
            UPDATE otp.feedback_due f
               SET due_at = now() + make_interval(secs => e.delay), tries = f.tries + e.counted
              FROM unnest($3::bigint[], $4::float8[], $5::int[]) AS e(id, delay, counted)
             WHERE f.verification_id = ANY ($3) AND f.verification_id + 0 = e.id
        )
        INSERT INTO otp.feedback_counts AS c (outcome, codes)
        SELECT e.outcome, count(*)
          FROM unnest($1::bigint[], $2::text[]) AS e(id, outcome)
          JOIN gone g ON g.verification_id = e.id
         GROUP BY 1
         ORDER BY 1
            ON CONFLICT (outcome) DO UPDATE SET codes = c.codes + excluded.codes
        """,
        [.int8Array, .textArray, .int8Array, .float8Array, .int4Array])

    /// How feedback about a code ended.
    public enum Outcome: String, Sendable, CaseIterable {
        /// Twilio knows that the code was used.
        case confirmed
        /// Twilio takes no feedback for the message.
        case unavailable
        /// The code has no text message that could be confirmed.
        case noMessage = "no_message"
        /// Twilio gave no clear answer for a day.
        case givenUp = "given_up"
    }

    /// A code whose feedback is due again.
    public struct Again: Sendable, Equatable {
        /// The verification.
        public var verification: Int64
        /// Until it is due.
        public var delay: Instant.Duration
        /// Whether a request was made for it.
        public var isCounted: Bool

        public init(verification: Int64, delay: Instant.Duration, isCounted: Bool) {
            (self.verification, self.delay, self.isCounted) = (verification, delay, isCounted)
        }
    }

    /// Codes whose feedback has ended.
    public var ended: [(verification: Int64, outcome: Outcome)] = []
    /// Codes whose feedback is due again.
    public var again: [Again] = []

    public init() {}

    /// Whether there is nothing to record.
    public var isEmpty: Bool { ended.isEmpty && again.isEmpty }

    public static func == (left: FinishFeedback, right: FinishFeedback) -> Bool {
        left.again == right.again && left.ended.elementsEqual(right.ended) { $0 == $1 }
    }

    /// Records them all.
    public func run(on connection: Connection, deadline: Instant) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(ended.lazy.map(\.verification))
        parameters.append(ended.map { Optional($0.outcome.rawValue) })
        parameters.append(again.lazy.map(\.verification))
        parameters.append(again.lazy.map(\.delay.seconds))
        parameters.append(again.lazy.map { $0.isCounted ? 1 : 0 as Int32 })
        _ = try await connection.execute(
            Self.statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
