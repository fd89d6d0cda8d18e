public import EventLoop
public import Postgres

/// Reads the steps of all routes, and why a step cannot be used at present (`otp.route_status`).
public enum ReadRoutes {
    static let routes = """
        SELECT purpose, country, step, channel, problem FROM otp.route_status
        ORDER BY purpose = '*', purpose, country = '*', country, step
        """

    /// One step of a route.
    public struct Step: Sendable, Equatable {
        /// `*` for any purpose.
        public var purpose: String
        /// `*` for any country.
        public var country: String
        public var step: Int
        public var channel: String
        /// Why it cannot be used; nil if it can.
        public var problem: String?

        public init(purpose: String, country: String, step: Int, channel: String, problem: String?) {
            self.purpose = purpose
            self.country = country
            self.step = step
            self.channel = channel
            self.problem = problem
        }
    }

    /// The rows of `otp.route_status`.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> [Step] {
        try await TextQuery.rows(routes, on: connection, deadline: deadline).map { row throws(PostgresError) in
            Step(
                purpose: try row.next(), country: try row.next(), step: try row.next(), channel: try row.next(),
                problem: try row.next())
        }
    }
}
