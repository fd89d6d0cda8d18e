public import EventLoop
public import Postgres

/// Reads the live test numbers, masked (`otp.test_number_status`).
public enum ReadTestNumbers {
    static let sql = """
        SELECT phone_number, is_real, key_id, extract(epoch FROM expires_at - now())::float8
          FROM otp.test_number_status ORDER BY is_real DESC, expires_at DESC
        """

    /// One live test number.
    public struct TestNumber: Sendable, Equatable {
        /// Masked.
        public var phoneNumber: String
        /// Whether somebody may have it.
        public var isReal: Bool
        /// The `otp.key_id` of the secret in its hash.
        public var keyID: String
        /// In seconds.
        public var timeLeft: Double

        public init(phoneNumber: String, isReal: Bool, keyID: String, timeLeft: Double) {
            self.phoneNumber = phoneNumber
            self.isReal = isReal
            self.keyID = keyID
            self.timeLeft = timeLeft
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [TestNumber] {
        try await TextQuery.rows(sql, on: connection, deadline: deadline).map { row throws(PostgresError) in
            TestNumber(
                phoneNumber: try row.next(), isReal: try row.next(), keyID: try row.next(), timeLeft: try row.next())
        }
    }
}
