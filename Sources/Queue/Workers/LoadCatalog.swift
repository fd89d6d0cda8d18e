public import EventLoop
public import OTP
public import Postgres

/// Reads the data that operators change while workers run: templates, senders of countries, error classes, pauses,
/// rates. It is a few hundred rows, read at every connect and after each `otp_catalog` notification.
public enum LoadCatalog {
    static let templates = Statement(
        "otpd_templates",
        """
        SELECT purpose, locale, body, web_otp_host, call_text, content_sid, mail_subject, mail_body
          FROM otp.templates
        """)
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

    static let purposes = Statement("otpd_purposes", "SELECT purpose, app_name, sender FROM otp.purposes")
    static let channelSenders = Statement(
        "otpd_channel_senders", "SELECT channel, country, sender FROM otp.channel_senders")
    static let waits = Statement(
        "otpd_waits", "SELECT EXISTS (SELECT FROM otp.routes WHERE wait IS NOT NULL)")

    static let settings = Statement("otpd_settings", "SELECT message_feedback FROM otp.settings")

    /// The result.
    public struct Rows: Sendable {
        public var templates: [TemplateSet.Row] = []
        public var classes: [ErrorClasses.Row] = []
        /// Senders by region.
        public var senders: [String: String] = [:]
        public var pauses: [Pause] = []
        /// Sends per second of all workers together; nil if unlimited.
        public var rate: Double?
        /// The same by sender.
        public var senderRates: [String: Double] = [:]
        /// Until the next probe of a pause is due, negative if it is due; nil if no pause is probed.
        public var nextProbe: Instant.Duration?
        /// Whether a step of a route begins after a wait.
        public var hasWaits = false
        /// Whether Twilio is told which codes were used.
        public var givesFeedback = false
        /// By purpose: the name of the app and the sender, where it has them.
        public var purposes: [String: (appName: String?, sender: String?)] = [:]
        /// Senders of WhatsApp messages and calls.
        public var channelSenders: [(channel: String, country: String, sender: String)] = []
    }

    /// The channel that notifies of changes.
    public static let channel = "otp_catalog"

    /// Reads the rows of these tables; of countries, those with their own sender.
    public static func run(on connection: Connection, deadline: Instant) async throws(PostgresError) -> Rows {
        var all = Rows()
        let texts = try await connection.execute(templates, Parameters(), deadline: deadline, onDeadline: .drop)
        all.templates = try texts.map { row throws(PostgresError) in
            TemplateSet.Row(
                purpose: try row.next(), locale: try row.next(), text: try row.next(), webOTPHost: try row.next(),
                callText: try row.next(), contentSID: try row.next(), mailSubject: try row.next(),
                mailBody: try row.next())
        }
        let codes = try await connection.execute(classes, Parameters(), deadline: deadline, onDeadline: .drop)
        all.classes = try codes.map { row throws(PostgresError) in
            ErrorClasses.Row(
                code: try row.next(), className: try row.next(), stage: try row.next(), explanation: try row.next(),
                remedy: try row.next())
        }
        let countries = try await connection.execute(senders, Parameters(), deadline: deadline, onDeadline: .drop)
        for index in 0..<countries.rowCount {
            var row = countries.reader(index)
            let region: String = try row.next()
            all.senders[region] = try row.next()
        }
        let paused = try await connection.execute(pauses, Parameters(), deadline: deadline, onDeadline: .drop)
        for index in 0..<paused.rowCount {
            var row = paused.reader(index)
            // The table's CHECK constraint admits no other value.
            guard let scope = PauseScope(scope: try row.next(), key: try row.next()) else { continue }
            all.pauses.append(
                Pause(
                    scope, reason: try row.next(), remedy: try row.next(), isProbed: try row.next()))
            if let next = try row.nextDuration() { all.nextProbe = min(all.nextProbe ?? next, next) }
        }
        let limits = try await connection.execute(rates, Parameters(), deadline: deadline, onDeadline: .drop)
        for index in 0..<limits.rowCount {
            var row = limits.reader(index)
            let sender: String? = try row.next()
            let rate: Double? = try row.next()
            if let sender { all.senderRates[sender] = rate } else { all.rate = rate }
        }
        let own = try await connection.execute(purposes, Parameters(), deadline: deadline, onDeadline: .drop)
        for index in 0..<own.rowCount {
            var row = own.reader(index)
            let purpose: String = try row.next()
            all.purposes[purpose] = (appName: try row.next(), sender: try row.next())
        }
        let others = try await connection.execute(channelSenders, Parameters(), deadline: deadline, onDeadline: .drop)
        all.channelSenders = try others.map { row throws(PostgresError) in
            (channel: try row.next(), country: try row.next(), sender: try row.next())
        }
        let waiting = try await connection.execute(waits, Parameters(), deadline: deadline, onDeadline: .drop)
        all.hasWaits = try waiting.bool(0, 0)
        let general = try await connection.execute(settings, Parameters(), deadline: deadline, onDeadline: .drop)
        all.givesFeedback = try general.bool(0, 0)
        return all
    }
}
