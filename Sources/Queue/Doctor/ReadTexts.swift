public import EventLoop
public import OTP
public import Postgres

/// Reads the texts, and the countries with their senders.
public enum ReadTexts {
    static let templates = "SELECT purpose, locale, body, web_otp_host FROM otp.templates ORDER BY purpose, locale"
    static let countries = "SELECT region, sender FROM otp.countries ORDER BY region"

    /// A country that is sent to.
    public struct Country: Sendable, Equatable {
        public var region: String
        /// Nil for the worker's own.
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
        let rows = try await TextQuery.rows(templates, on: connection, deadline: deadline)
        var texts: [TemplateSet.Row] = []
        for row in 0..<rows.rowCount {
            texts.append(
                TemplateSet.Row(
                    purpose: try rows.string(row, 0), locale: try rows.string(row, 1), text: try rows.string(row, 2),
                    webOTPHost: try rows.stringIfPresent(row, 3)))
        }
        return texts
    }

    /// The rows of `otp.countries`.
    public static func countries(
        on connection: Connection, deadline: Instant
    ) async throws(PostgresError) -> [Country] {
        let rows = try await TextQuery.rows(countries, on: connection, deadline: deadline)
        var countries: [Country] = []
        for row in 0..<rows.rowCount {
            countries.append(Country(region: try rows.string(row, 0), sender: try rows.stringIfPresent(row, 1)))
        }
        return countries
    }
}
