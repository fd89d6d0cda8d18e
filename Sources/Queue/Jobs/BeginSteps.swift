public import EventLoop
public import Postgres

/// Begins the steps of routes whose wait has ended (`otp.begin_steps`). Any worker may run it at any time: each step
/// begins once, because `otp.follow_up` decides under the verification's lock.
public enum BeginSteps {
    static let statement = Statement(
        "otpd_begin_steps", "SELECT b.begun, b.next_in FROM otp.begin_steps() b", [])

    /// The result of one round.
    public struct Begun: Sendable, Equatable {
        /// Steps that began: new send jobs.
        public var count: Int
        /// Until the next step is due, negative if it is due; nil if none waits.
        public var next: Instant.Duration?

        public init(count: Int, next: Instant.Duration?) {
            self.count = count
            self.next = next
        }
    }

    /// Begins at most a hundred steps.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Begun {
        let result = try await connection.execute(
            statement, Parameters(), deadline: deadline, onDeadline: .drop, onCancellation: .drop)
        var row = result.reader()
        return Begun(count: try row.next(), next: try row.nextDuration())
    }
}
