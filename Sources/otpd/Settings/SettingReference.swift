/// What a setting means, in words. This is the one source of `otpd settings`, deploy/otpd.env.example, otpd.env(5) and
/// the table in deploy/docs/settings.md. `make settings` writes them, and a test compares them.
///
/// In texts, `backticks` mark monospace in Markdown.
struct SettingReference {
    enum Section: String, CaseIterable {
        case database = "Database"
        case codes = "Codes"
        case twilio = "Twilio"
        case sending = "Sending"
        case mail = "E-mail"
        case callbacks = "Status callbacks"
        case dashboard = "Dashboard"
        case traces = "Traces"
        case log = "Log"

        /// Printed once, before the settings of the section.
        var introduction: String? {
            switch self {
            case .callbacks:
                """
                Without callbacks otpd polls Twilio for the status of each message, which is slower. With them, Twilio calls \
                `OTPD_CALLBACK_PUBLIC_URL`. Either otpd receives these calls, or your backend does and passes MessageSid, \
                MessageStatus, ErrorCode and the URL's parameter `reference` to `otp.record_status`. A status that otpd \
                receives itself counts at once. A status that your backend reports counts once otpd has asked Twilio for \
                that message.
                """
            case .mail:
                """
                Codes go by e-mail only for routes and requests that say so (otp.routes), and for purposes that allow it \
                (otp.purposes).
                """
            case .traces:
                """
                Traces are off without an endpoint. The names and values are those of OpenTelemetry's specification. \
                otpd exports over OTLP/HTTP in JSON.
                """
            case .database, .codes, .twilio, .sending, .dashboard, .log: nil
            }
        }
    }

    let name: SettingName
    let section: Section
    /// The default: a value, or a word such as "required".
    let standard: Default
    /// The value in the example file, where it is neither the default nor empty.
    var example: String?
    /// The meaning: its cell in the table of deploy/docs/settings.md.
    let summary: String
    /// More, for the example file and the man page.
    var details: String?

    enum Default: Equatable {
        case required
        case value(String)
        /// No value, and a phrase that describes this case.
        case none(String)
    }

    /// Every setting, in the order of the example file; a test holds it complete.
    static let all: [SettingReference] = [
        SettingReference(
            name: .databaseURL, section: .database, standard: .none("libpq's own"),
            example: "postgresql://otpd:password@127.0.0.1/app",
            summary: """
                The database, as a libpq URL. Without it, libpq's own variables apply: `PGHOST`, `PGPORT`, `PGDATABASE`, \
                `PGUSER`, `PGPASSFILE`, `PGSERVICE`, `PGSSLMODE` and others. Several hosts and \
                `target_session_attrs=read-write` work.
                """,
            details: """
                The role is a member of otp_worker, which itself cannot log in: CREATE ROLE otpd LOGIN IN ROLE otp_worker. \
                The connection must be a direct one: otpd uses LISTEN, so a transaction-pooled PgBouncer does not work. \
                Percent-encode special characters in user and password: % is %25, @ is %40, / is %2F, : is %3A, ? is %3F, \
                # is %23. Several hosts: postgresql://otpd@db1,db2/app?target_session_attrs=read-write
                """),
        SettingReference(
            name: .secret, section: .codes, standard: .required,
            summary: """
                The key that seals codes. Your backend's `otp.secret` must be the same. 32 or more characters of \
                `A-Z a-z 0-9 - _`, at least 8 different ones.
                """,
            details: "Make one with: openssl rand -hex 32"),
        SettingReference(
            name: .secretPrevious, section: .codes, standard: .none("none"),
            summary: "The previous secret, while you rotate it.",
            details: "Keep it for 10 minutes after the change. By then the last code that it sealed has expired."),
        SettingReference(
            name: .appName, section: .codes, standard: .required,
            summary: "The name that users know your service by. It fills `{app}` in the texts."),
        SettingReference(
            name: .accountSID, section: .twilio, standard: .required,
            summary: "The account: `AC` and 32 hexadecimal digits, from the Twilio Console."),
        SettingReference(
            name: .authToken, section: .twilio, standard: .none("required without an API key"),
            summary: """
                The account's auth token. Twilio signs status callbacks with it, so `OTPD_CALLBACK_LISTEN` needs it even if \
                you use an API key.
                """),
        SettingReference(
            name: .apiKeySID, section: .twilio, standard: .none("none"),
            summary: """
                An API key, used for requests in place of the auth token: `SK` and 32 hexadecimal digits. It must be \
                allowed to create and to list messages.
                """),
        SettingReference(
            name: .apiKeySecret, section: .twilio, standard: .none("none"), summary: "The API key's secret."),
        SettingReference(
            name: .phoneNumber, section: .twilio, standard: .none("required without a messaging service"),
            summary: """
                The sender: a number in E.164 form such as `+15005550006`, a short code, or an alphanumeric sender of 1 to \
                11 letters, digits and spaces. Countries can have senders of their own (`otp.countries`).
                """),
        SettingReference(
            name: .messagingServiceSID, section: .twilio, standard: .none("none"),
            summary: "A messaging service as the sender, in place of a number: `MG` and 32 hexadecimal digits."),
        SettingReference(
            name: .apiBaseURL, section: .twilio, standard: .value("https://api.twilio.com"),
            summary: """
                Where requests go: a Twilio edge or region, or the simulator. Use `https`; `http` is allowed to this \
                machine only, unless `OTPD_PLAIN_HTTP_TO_TWILIO` is set. No path.
                """),
        SettingReference(
            name: .plainHTTP, section: .twilio, standard: .value("no"),
            summary: """
                `yes` allows `http` in `TWILIO_API_BASE_URL` to another machine, for a simulator in a private network of \
                containers alone. Everyone in that network can read the codes and the credentials. otpd warns of it at \
                each start, and refuses `http` to twilio.com even then.
                """),
        SettingReference(
            name: .caFile, section: .twilio, standard: .none("the system's"),
            summary: """
                A PEM file with the certificates to trust for Twilio, for a proxy that replaces Twilio's \
                certificate, or for a simulator over TLS.
                """),
        SettingReference(
            name: .maxInFlight, section: .sending, standard: .value("64"),
            summary: """
                How many requests to Twilio may be in flight at a time, 1 to 10000. Each needs up to three open files. \
                If the limit on open files (`LimitNOFILE`) is too low, otpd sends fewer at a time. It then says so in \
                the log and in `otpd status`.
                """),
        SettingReference(
            name: .ratePerSecond, section: .sending, standard: .none("no limit"),
            summary: """
                Sends per second of this worker, above 0, such as `10` or `0.5`. For all workers together, set \
                `otp.settings.sends_per_second`.
                """),
        SettingReference(
            name: .resendUnknown, section: .sending, standard: .value("after-grace"),
            summary: """
                Whether otpd sends a code again if the outcome is unknown. With `after-grace` it does so once two lookups \
                after the grace did not find the message in Twilio's list. With `never` the send fails.
                """),
        SettingReference(
            name: .smtpURL, section: .mail, standard: .none("no e-mail"), example: "smtps://mail.example.com",
            summary: """
                The mail server: `smtps://host` (port 465), or `smtp://host` (port 587), which must offer STARTTLS. Only \
                to this machine may `smtp` go without TLS. Certificates are verified.
                """),
        SettingReference(
            name: .smtpUsername, section: .mail, standard: .none("no login"), summary: "The login at the mail server."),
        SettingReference(
            name: .smtpPassword, section: .mail, standard: .none("no login"), summary: "The password of that login."),
        SettingReference(
            name: .mailFrom, section: .mail, standard: .none("required with `OTPD_SMTP_URL`"),
            example: "codes@example.com",
            summary: """
                The sender of the e-mails: an address, or `Name <address>`. Your mail server must be allowed to send for \
                its domain (SPF, DKIM).
                """),
        SettingReference(
            name: .callbackPublicURL, section: .callbacks, standard: .none("off"),
            example: "https://sms.example.com/twilio/status",
            summary: """
                The URL that Twilio calls with statuses: `https`, with the path that your proxy passes on. otpd adds \
                the parameter `reference`, and checks signatures against exactly this URL.
                """),
        SettingReference(
            name: .callbackListen, section: .callbacks, standard: .none("off"), example: "127.0.0.1:8080",
            summary: """
                The address and port where `otpd run`, or `otpd callbacks` alone, receives these calls. It speaks plain \
                HTTP, so put a proxy with TLS in front. It needs `TWILIO_AUTH_TOKEN`.
                """),
        SettingReference(
            name: .dashboardListen, section: .dashboard, standard: .none("off; `otpd dashboard`: `127.0.0.1:9464`"),
            example: "127.0.0.1:9464",
            summary: """
                The address and port where `otpd run` serves the dashboard, `/metrics`, `/healthz` and `/readyz`. One \
                worker of a host can serve it, and it shows all workers. `otpd dashboard` serves it alone.
                """),
        SettingReference(
            name: .dashboardToken, section: .dashboard, standard: .none("none"),
            summary: """
                The token that the dashboard asks for. Any address but loopback requires it. 32 or more characters of \
                `A-Z a-z 0-9 - _`.
                """,
            details: """
                Make one with: openssl rand -hex 32. The dashboard speaks plain HTTP: put a proxy with TLS in front where \
                others can listen.
                """),
        SettingReference(
            name: .otlpEndpoint, section: .traces, standard: .none("off"), example: "http://127.0.0.1:4318",
            summary: """
                The collector that traces go to. otpd adds `/v1/traces`. Plain `http` is allowed, because spans hold no \
                number, no code and no text.
                """),
        SettingReference(
            name: .otlpTracesEndpoint, section: .traces, standard: .none("none"),
            summary: "The whole URL for traces, in place of `OTEL_EXPORTER_OTLP_ENDPOINT`. Nothing is added to it."),
        SettingReference(
            name: .otlpHeaders, section: .traces, standard: .none("none"),
            summary:
                "Headers for the collector, such as a token: `name=value,name=value`, percent-encoded if necessary."),
        SettingReference(
            name: .serviceName, section: .traces, standard: .value("otpd"), summary: "The service's name in traces."),
        SettingReference(
            name: .tracesSampler, section: .traces, standard: .value("parentbased_always_on"),
            summary: """
                Which traces are recorded: `always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, \
                `parentbased_always_off` or `parentbased_traceidratio`. With `parentbased_` the caller's decision counts.
                """),
        SettingReference(
            name: .tracesSamplerArgument, section: .traces, standard: .none("1"),
            summary: "For a sampler with `traceidratio`: the share of the traces to record, from 0 to 1."),
        SettingReference(
            name: .sdkDisabled, section: .traces, standard: .value("false"),
            summary: "`true` turns traces off, whatever the other settings say."),
        SettingReference(
            name: .logLevel, section: .log, standard: .value("info"),
            summary: "`trace`, `debug`, `info`, `notice`, `warning`, `error` or `critical`."),
        SettingReference(
            name: .logFormat, section: .log, standard: .value("text"), summary: "`text` or `json`."),
    ]

    // MARK: The documents

    /// The table in deploy/docs/settings.md, without its markers.
    static var markdownTable: String {
        var lines = ["| variable | default | meaning |", "|---|---|---|"]
        for setting in all {
            let standard =
                switch setting.standard {
                case .required: "required"
                case .value(let value): "`\(value)`"
                case .none(let words): words
                }
            let name = "`\(setting.name.rawValue)`" + (setting.name.isSecret ? " (S)" : "")
            lines.append("| \(name) | \(standard) | \(setting.summary) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The whole of deploy/otpd.env.example.
    static var environmentExample: String {
        var lines = introduction.map { $0.isEmpty ? "#" : "# \($0)" }
        for section in Section.allCases {
            let title = "# --- \(section.rawValue) "
            lines += ["", title + String(repeating: "-", count: width - title.count)]
            if let introduction = section.introduction { lines += comment(introduction) + [""] }
            for setting in all where setting.section == section {
                var words = setting.summary
                if setting.standard == .required { words = "Required. " + words }
                if setting.name.isSecret { words = "Secret. " + words }
                if let details = setting.details { words += " " + details }
                lines += comment(words)
                let isSet =
                    setting.standard == .required || [.databaseURL, .authToken, .phoneNumber].contains(setting.name)
                var value = setting.example ?? ""
                if case .value(let standard) = setting.standard { value = standard }
                lines.append("\(isSet ? "" : "#")\(setting.name.rawValue)=\(value)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let width = 120

    private static let introduction = [
        "/etc/otpd/otpd.env: the settings of otpd, read by systemd (EnvironmentFile=). Mode 0600, owner root.",
        "",
        "Write NAME=value, without quotes and without spaces around the value. An empty value counts as not set.",
        "",
        "otpd checks all settings at its start and reports every problem at once:",
        "  systemctl restart otpd",
        "  journalctl -u otpd -n 20",
        "",
        "A setting marked Secret may also come from a file. Name the file in NAME_FILE=/path, or write the value into",
        "/etc/otpd/credentials, into a file with the setting's name in lower case. systemd loads that file as a",
        "credential. The variable wins over NAME_FILE, and NAME_FILE over the credential. otpd removes one line break at",
        "the end of the file. Any other space around a value is an error.",
        "",
        "systemctl reload otpd reads the files of TWILIO_AUTH_TOKEN and TWILIO_API_KEY_SECRET again. Name them in NAME_FILE",
        "(mode 0640, group otpd): a systemd credential keeps its value until the restart. Every other change needs a",
        "restart.",
    ]

    /// Plain words as comment lines of at most `width` columns.
    private static func comment(_ words: String) -> [String] {
        var lines: [String] = []
        var line = "#"
        for word in words.filter({ $0 != "`" }).split(separator: " ") {
            if line.count + 1 + word.count > width {
                lines.append(line)
                line = "#"
            }
            line += " \(word)"
        }
        return lines + [line]
    }
}
