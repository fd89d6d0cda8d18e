public import EventLoop
public import OTP
public import Postgres

/// Reads the templates, and the countries with their senders.
public enum ReadTexts {
    static let templates = "SELECT purpose, locale, body, web_otp_host FROM otp.templates ORDER BY purpose, locale"
    static let countries = "SELECT region, sender FROM otp.countries ORDER BY region"

    /// A country that messages may be sent to.
    public struct Country: Sendable, Equatable {
        public var region: String
        /// Nil if it uses the worker's own sender.
        public var sender: String?

        public init(region: String, sender: String?) {
            self.region = region
            self.sender = sender
        }
    }

    /// The rows of `otp.templates`.
    public static func templates(
        on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> [TemplateSet.Row] {
        try await TextQuery.rows(templates, on: connection, deadline: deadline).map { row throws(PostgresError) in
            TemplateSet.Row(
                purpose: try row.next(), locale: try row.next(), text: try row.next(), webOTPHost: try row.next())
        }
    }

    /// The rows of `otp.countries`.
    public static func countries(
        on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> [Country] {
        try await TextQuery.rows(countries, on: connection, deadline: deadline).map { row throws(PostgresError) in
            Country(region: try row.next(), sender: try row.next())
        }
    }
}
