/// Every variable that otpd reads as a setting. libpq reads its own `PG*` variables. `Notifier` and the log read those
/// of systemd.
enum SettingName: String, CaseIterable, Sendable {
    case databaseURL = "DATABASE_URL"
    case secret = "OTPD_SECRET"
    case secretPrevious = "OTPD_SECRET_PREVIOUS"
    case accountSID = "TWILIO_ACCOUNT_SID"
    case authToken = "TWILIO_AUTH_TOKEN"
    case apiKeySID = "TWILIO_API_KEY_SID"
    case apiKeySecret = "TWILIO_API_KEY_SECRET"
    case phoneNumber = "TWILIO_PHONE_NUMBER"
    case messagingServiceSID = "TWILIO_MESSAGING_SERVICE_SID"
    case apiBaseURL = "TWILIO_API_BASE_URL"
    case plainHTTP = "OTPD_PLAIN_HTTP_TO_TWILIO"
    case smtpURL = "OTPD_SMTP_URL"
    case smtpUsername = "OTPD_SMTP_USERNAME"
    case smtpPassword = "OTPD_SMTP_PASSWORD"
    case mailFrom = "OTPD_MAIL_FROM"
    case appName = "OTPD_APP_NAME"
    case maxInFlight = "OTPD_MAX_IN_FLIGHT"
    case ratePerSecond = "OTPD_RATE_PER_SECOND"
    case resendUnknown = "OTPD_RESEND_UNKNOWN"
    case callbackListen = "OTPD_CALLBACK_LISTEN"
    case callbackPublicURL = "OTPD_CALLBACK_PUBLIC_URL"
    case dashboardListen = "OTPD_DASHBOARD_LISTEN"
    case dashboardToken = "OTPD_DASHBOARD_TOKEN"
    case caFile = "OTPD_CA_FILE"
    case otlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
    case otlpTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    case otlpHeaders = "OTEL_EXPORTER_OTLP_HEADERS"
    case serviceName = "OTEL_SERVICE_NAME"
    case tracesSampler = "OTEL_TRACES_SAMPLER"
    case tracesSamplerArgument = "OTEL_TRACES_SAMPLER_ARG"
    case sdkDisabled = "OTEL_SDK_DISABLED"
    case logLevel = "OTPD_LOG_LEVEL"
    case logFormat = "OTPD_LOG_FORMAT"

    /// Whether the value may also come from a file: `<NAME>_FILE`, or a systemd credential.
    var isSecret: Bool {
        switch self {
        case .databaseURL, .secret, .secretPrevious, .authToken, .apiKeySecret, .smtpPassword, .dashboardToken,
            .otlpHeaders:
            true
        case .accountSID, .apiKeySID, .phoneNumber, .messagingServiceSID, .apiBaseURL, .plainHTTP, .smtpURL,
            .smtpUsername,
            .mailFrom, .appName,
            .maxInFlight, .ratePerSecond, .resendUnknown, .callbackListen, .callbackPublicURL, .dashboardListen,
            .caFile, .otlpEndpoint, .otlpTracesEndpoint, .serviceName, .tracesSampler, .tracesSamplerArgument,
            .sdkDisabled, .logLevel, .logFormat:
            false
        }
    }

    /// The name of the variable that names a file with the value.
    var fileVariable: String { rawValue + "_FILE" }

    /// The name of the systemd credential: `LoadCredential=otpd_secret:/etc/otpd/secret`.
    var credential: String { rawValue.lowercased() }

    /// The names of all variables that otpd reads.
    static let allVariables: Set<String> = {
        var names = Set(allCases.map(\.rawValue))
        for name in allCases where name.isSecret { names.insert(name.fileVariable) }
        return names
    }()
}
