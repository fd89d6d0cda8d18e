public import EventLoop
public import OTP
public import Postgres

/// Reads what changes while workers run: texts, senders of countries, error classes, pauses, rates. A few hundred rows, read at
/// every connect and whenever `otp_catalog` notifies.
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

    static let pauses = Statement(
        "otpd_pauses",
        """
        SELECT scope, key, reason, remedy, next_probe_at IS NOT NULL,
               extract(epoch FROM next_probe_at - clock_timestamp())::float8
          FROM otp.pauses
        """)

    static let rates = Statement(
        "otpd_rates",
        """
        SELECT NULL, s.sends_per_second::float8 FROM otp.settings s WHERE s.sends_per_second IS NOT NULL
        UNION ALL
        SELECT r.sender, r.sends_per_second::float8 FROM otp.sender_rates r
        """)

    /// What was read.
    public struct Rows: Sendable {
        public var templates: [TemplateSet.Row] = []
        public var classes: [ErrorClasses.Row] = []
        /// By region.
        public var senders: [String: String] = [:]
        public var pauses: [Pause] = []
        /// Sends per second of all workers together, where limited.
        public var rate: Double?
        /// The same by sender.
        public var senderRates: [String: Double] = [:]
        /// Until the next probe of a pause is due, negative when it is; nil when none is probed.
        public var nextProbe: Instant.Duration?
    }

    /// The channel that notifies of changes.
    public static let channel = "otp_catalog"

    /// The rows of these tables; of countries, those with a sender of their own.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Rows {
        var all = Rows()
        let texts = try await connection.execute(templates, Parameters(), deadline: deadline, onDeadline: .drop)
        for row in 0..<texts.rowCount {
            all.templates.append(
                TemplateSet.Row(
                    purpose: try texts.string(row, 0), locale: try texts.string(row, 1), text: try texts.string(row, 2),
                    webOTPHost: try texts.stringIfPresent(row, 3)))
        }
        let codes = try await connection.execute(classes, Parameters(), deadline: deadline, onDeadline: .drop)
        for row in 0..<codes.rowCount {
            all.classes.append(
                ErrorClasses.Row(
                    code: Int(try codes.int64(row, 0)), className: try codes.string(row, 1),
                    stage: try codes.string(row, 2), explanation: try codes.string(row, 3),
                    remedy: try codes.string(row, 4)))
        }
        let countries = try await connection.execute(senders, Parameters(), deadline: deadline, onDeadline: .drop)
        for row in 0..<countries.rowCount { all.senders[try countries.string(row, 0)] = try countries.string(row, 1) }
        let paused = try await connection.execute(pauses, Parameters(), deadline: deadline, onDeadline: .drop)
        for row in 0..<paused.rowCount {
            // The table's own check admits no other.
            guard let scope = PauseScope(scope: try paused.string(row, 0), key: try paused.string(row, 1)) else {
                continue
            }
            all.pauses.append(
                Pause(
                    scope, reason: try paused.string(row, 2), remedy: try paused.stringIfPresent(row, 3),
                    isProbed: try paused.bool(row, 4)))
            if let span = try paused.doubleIfPresent(row, 5).map({ Instant.Duration(seconds: $0) }) {
                all.nextProbe = min(all.nextProbe ?? span, span)
            }
        }
        let limits = try await connection.execute(rates, Parameters(), deadline: deadline, onDeadline: .drop)
        for row in 0..<limits.rowCount {
            let rate = try limits.doubleIfPresent(row, 1)
            if let sender = try limits.stringIfPresent(row, 0) {
                all.senderRates[sender] = rate
            } else {
                all.rate = rate
            }
        }
        return all
    }
}
