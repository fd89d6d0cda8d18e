public import EventLoop
public import Postgres

/// Counts the codes that were used, and begins and ends holds (`otp.review_fraud`). Any worker may run it at any time.
public enum ReviewFraud {
    static let statement = Statement(
        "otpd_review_fraud", "SELECT r.counted, r.ended, r.held FROM otp.review_fraud() r", [])

    /// The result of one review.
    public struct Reviewed: Sendable, Equatable {
        /// Used codes, and texts that did not leave, that were counted.
        public var counted: Int
        /// Holds that ended.
        public var ended: Int
        /// Keys that are held now.
        public var held: Int

        public init(counted: Int, ended: Int, held: Int) {
            self.counted = counted
            self.ended = ended
            self.held = held
        }
    }

    /// Counts at most a thousand codes, and reviews all holds.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Reviewed {
        let result = try await connection.execute(
            statement, Parameters(), deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return Reviewed(counted: try row.next(), ended: try row.next(), held: try row.next())
    }
}
