public import EventLoop
public import Postgres

/// Records how risk checks of phone numbers ended, and the scores (`otp.record_risk_checks`). Primary keys serve it.
///
/// The claim has written the rows of the numbers (`otp.begin_risk_checks`). So a check that is never recorded counts all the
/// same, and only its score is unknown. Nothing of a send depends on this.
public struct RecordRiskChecks: Sendable, Equatable {
    static let statement = Statement(
        "otpd_record_risk_checks", "SELECT otp.record_risk_checks($1, $2, $3)", [.int8Array, .textArray, .int4Array])

    /// How a check ended.
    public enum Outcome: String, Sendable, CaseIterable {
        /// The risk was not too high, and the text was sent.
        case passed
        /// The risk was too high, and the text was not sent.
        case refused
        /// Twilio knows no risk of the number, and the text was sent.
        case unknown
        /// There was no usable answer in time, and the text was sent.
        case failed
    }

    /// One check.
    public struct Check: Sendable, Equatable {
        /// The verification whose number was checked.
        public var verification: Int64
        public var outcome: Outcome
        /// From 0 to 100, if Twilio knows it.
        public var score: Int32?

        public init(verification: Int64, _ outcome: Outcome, score: Int32? = nil) {
            (self.verification, self.outcome, self.score) = (verification, outcome, score)
        }
    }

    public var checks: [Check]

    public init(_ checks: [Check] = []) { self.checks = checks }

    /// Records them all.
    public func run(on connection: Connection, deadline: Instant) async throws(PostgresError) {
        var parameters = Parameters()
        parameters.append(checks.lazy.map(\.verification))
        parameters.append(checks.map { Optional($0.outcome.rawValue) })
        parameters.append(checks.map(\.score))
        _ = try await connection.execute(
            Self.statement, parameters, deadline: deadline, onDeadline: .drop, onCancellation: .drop)
    }
}
