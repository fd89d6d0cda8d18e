public import Postgres
public import Queue
public import Twilio

/// Everything a worker needs to know; made by the settings.
public struct WorkerConfiguration: Sendable {
    /// The database.
    public var database: ConnectionSettings
    /// What codes are sealed under.
    public var keys: CodeKeys
    /// Scheme, host and port, such as `https://api.twilio.com`.
    public var twilioBaseURL: String
    /// Who we are to Twilio.
    public var credentials: Credentials
    /// Whom messages come from.
    public var sender: Sender
    /// Fills `{app}` in templates.
    public var appName: String
    /// Requests to Twilio at a time.
    public var maxInFlight: Int
    /// Why these are fewer than the settings allow, for `otp.worker_status`; nil where they are not.
    public var windowNote: String?
    /// Sends per second; nil for no limit.
    public var ratePerSecond: Double?
    /// Whether a job with an unknown outcome is sent again, once the grace has ended and two lookups have not found its
    /// message.
    public var resendsUnknown: Bool
    /// Where Twilio reports statuses to; nil for nowhere.
    public var statusCallback: String?
    /// Certificates to trust for Twilio instead of the system's.
    public var caFile: String?
    /// For `otp.worker_status`.
    public var host: String
    /// For `otp.worker_status`.
    public var version: String

    public init(
        database: ConnectionSettings, keys: CodeKeys, twilioBaseURL: String, credentials: Credentials, sender: Sender,
        appName: String,
        maxInFlight: Int, windowNote: String? = nil, ratePerSecond: Double?, resendsUnknown: Bool,
        statusCallback: String?, caFile: String?,
        host: String, version: String
    ) {
        self.database = database
        self.keys = keys
        self.twilioBaseURL = twilioBaseURL
        self.credentials = credentials
        self.sender = sender
        self.appName = appName
        self.maxInFlight = maxInFlight
        self.windowNote = windowNote
        self.ratePerSecond = ratePerSecond
        self.resendsUnknown = resendsUnknown
        self.statusCallback = statusCallback
        self.caFile = caFile
        self.host = host
        self.version = version
    }
}
