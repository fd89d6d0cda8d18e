public import EventLoop
public import Postgres

/// Advances sequences that are behind the numbers in use, as after a data-only restore or a logical subscription.
/// Otherwise the next worker, verification or send job would get a number that is in use.
public enum AdvanceSequences {
    /// One sequence.
    public struct Sequence: Sendable, Equatable {
        public var sequence: String
        /// The last number from it.
        public var last: Int64
        /// The highest number in use.
        public var used: Int64
        /// The statement that advances it.
        public var remedy: String { "SELECT setval('\(sequence)', \(used));" }

        public init(sequence: String, last: Int64, used: Int64) {
            (self.sequence, self.last, self.used) = (sequence, last, used)
        }
    }

    /// Advances them. Returns those that were behind.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Sequence] {
        try await sequences("otp.advance_sequences()", on: connection, deadline: deadline)
    }

    /// Returns those that are behind, and changes nothing.
    public static func preview(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Sequence] {
        try await sequences("otp.sequences_behind()", on: connection, deadline: deadline)
    }

    private static func sequences(
        _ function: String, on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> [Sequence] {
        let rows = try await TextQuery.rows(
            "SELECT sequence, last_number, used_number FROM \(function)", on: connection, deadline: deadline)
        return try rows.map { row throws(PostgresError) in
            Sequence(sequence: try row.next(), last: try row.next(), used: try row.next())
        }
    }
}
