public import EventLoop
public import OTP
public import Postgres

/// Reads what operators may change while workers run: texts, senders of countries and error classes. A few hundred rows,
/// read at every connect and whenever `otp_catalog` notifies.
public enum LoadCatalog {
    static let templates = Statement(
        "otpd_templates",
        "SELECT purpose, locale, body, web_otp_host FROM otp.templates")
    static let senders = Statement(
        "otpd_senders",
        "SELECT region, sender FROM otp.countries WHERE sender IS NOT NULL")
    static let classes = Statement(
        "otpd_error_classes",
        """
        SELECT c.code, c.class, c.stage, coalesce(c.explanation, d.explanation), coalesce(c.remedy, d.remedy)
          FROM otp.error_classes c
          JOIN otp.error_class_defaults d ON d.class = c.class
        """)

    /// The channel that notifies of changes.
    public static let channel = "otp_catalog"

    /// The rows of these tables; of countries, those with a sender of their own.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError)
        -> (templates: [TemplateSet.Row], classes: [ErrorClasses.Row], senders: [String: String])
    {
        let texts = try await connection.execute(templates, Parameters(), deadline: deadline, onDeadline: .drop)
        var templates: [TemplateSet.Row] = []
        for row in 0..<texts.rowCount {
            templates.append(
                TemplateSet.Row(
                    purpose: try texts.string(row, 0), locale: try texts.string(row, 1), text: try texts.string(row, 2),
                    webOTPHost: try texts.stringIfPresent(row, 3)))
        }
        let codes = try await connection.execute(classes, Parameters(), deadline: deadline, onDeadline: .drop)
        var classes: [ErrorClasses.Row] = []
        for row in 0..<codes.rowCount {
            classes.append(
                ErrorClasses.Row(
                    code: Int(try codes.int64(row, 0)), className: try codes.string(row, 1),
                    stage: try codes.string(row, 2), explanation: try codes.string(row, 3),
                    remedy: try codes.string(row, 4)))
        }
        let countries = try await connection.execute(senders, Parameters(), deadline: deadline, onDeadline: .drop)
        var senders: [String: String] = [:]
        for row in 0..<countries.rowCount { senders[try countries.string(row, 0)] = try countries.string(row, 1) }
        return (templates, classes, senders)
    }
}
