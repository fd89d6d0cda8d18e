public import EventLoop
public import Postgres

/// Reads how otpd guards against codes that are sent and never used (`otp.fraud_coverage`, `otp.fraud_status`).
public enum ReadFraud {
    static let sql = """
        SELECT c.action, c.is_counted, c.total, c.budget, c.sent_today, c.without_address,
            CASE WHEN u.is_on THEN u.allowed END, u.looked_up
          FROM otp.fraud_coverage c CROSS JOIN otp.risk_check_use u
        """
    static let holds = """
        SELECT scope || coalesce(' ' || nullif(key, ''), ''), explanation, remedy FROM otp.fraud_status
        WHERE is_enforced AND scope NOT IN ('total', 'budget') ORDER BY since LIMIT 20
        """

    /// A key that is held.
    public struct Hold: Sendable, Equatable {
        /// `country SA`.
        public var name: String
        public var explanation: String
        public var remedy: String

        public init(name: String, explanation: String, remedy: String) {
            (self.name, self.explanation, self.remedy) = (name, explanation, remedy)
        }
    }

    /// The result.
    public struct Coverage: Sendable, Equatable {
        /// `otp.settings.fraud_action`: observe, hold or refuse.
        public var action: String
        /// Whether `otp.limits` has rows for unused codes.
        public var isCounted: Bool
        /// What today allows by the limits that follow the usual traffic, such as `1000` and `100 USD`; nil: no such limit.
        public var total: String?
        public var budget: String?
        /// Texts of today, and those without a client address.
        public var sentToday: Int
        public var withoutAddress: Int
        /// How many phone numbers may be looked up at Twilio in 24 hours; nil: none (`otp.settings.lookup_suspicious`).
        public var lookups: Int?
        /// How many were, in the last 24 hours.
        public var lookedUp: Int
        public var holds: [Hold]

        public init(
            action: String = "hold", isCounted: Bool = true, total: String? = "1000", budget: String? = "100 USD",
            sentToday: Int = 0, withoutAddress: Int = 0, lookups: Int? = nil, lookedUp: Int = 0, holds: [Hold] = []
        ) {
            (self.action, self.isCounted, self.total, self.budget) = (action, isCounted, total, budget)
            (self.sentToday, self.withoutAddress, self.holds) = (sentToday, withoutAddress, holds)
            (self.lookups, self.lookedUp) = (lookups, lookedUp)
        }
    }

    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Coverage {
        var row = try await TextQuery.rows(sql, on: connection, deadline: deadline).reader()
        let held = try await TextQuery.rows(holds, on: connection, deadline: deadline)
        return Coverage(
            action: try row.next(), isCounted: try row.next(), total: try row.next(), budget: try row.next(),
            sentToday: try row.next(), withoutAddress: try row.next(),
            lookups: try row.next(), lookedUp: try row.next(),
            holds: try held.map { row throws(PostgresError) in
                Hold(name: try row.next(), explanation: try row.next() ?? "", remedy: try row.next())
            })
    }
}
