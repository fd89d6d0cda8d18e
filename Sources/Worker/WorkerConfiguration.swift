public import HTTP
public import OTP
public import Postgres
public import Queue
public import Twilio

/// What a worker needs to know. The settings make it.
public struct WorkerConfiguration: Sendable {
    /// The database.
    public var database: ConnectionSettings
    /// The keys that codes are sealed with.
    public var keys: CodeKeys
    /// Scheme, host and port, such as `https://api.twilio.com`.
    public var twilioBaseURL: String
    /// The Twilio account and its credentials.
    public var credentials: Credentials
    /// The sender of messages.
    public var sender: Sender
    /// The channels that it claims jobs of.
    public var channels: [Channel] = [.sms, .whatsapp, .call]
    /// The mail server of a worker that sends e-mail; nil for a worker that sends through Twilio.
    public var mail: MailTransport?
    /// Fills `{app}` in templates.
    public var appName: String
    /// Requests to Twilio at a time.
    public var maxInFlight: Int
    /// Why these are fewer than the settings allow, for `otp.worker_status`; nil if they are not.
    public var windowNote: String?
    /// Sends per second; nil for no limit.
    public var ratePerSecond: Double?
    /// Whether a job whose outcome is unknown is sent again once it is known that Twilio has no message
    /// (`OTPD_RESEND_UNKNOWN`).
    public var resendsUnknown: Bool
    /// Where Twilio reports statuses to; nil for nowhere.
    public var statusCallback: String?
    /// Certificates to trust for Twilio instead of the system's.
    public var caFile: String?
    /// The hosts that `twilioBaseURL` may name with plain http.
    public var plainHTTP: PlainHTTP
    /// For `otp.worker_status`.
    public var host: String
    /// For `otp.worker_status`.
    public var version: String

    public init(
        database: ConnectionSettings, keys: CodeKeys, twilioBaseURL: String, credentials: Credentials, sender: Sender,
        appName: String,
        maxInFlight: Int, windowNote: String? = nil, ratePerSecond: Double?, resendsUnknown: Bool,
        statusCallback: String?, caFile: String?, plainHTTP: PlainHTTP = .toThisMachine,
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
        self.plainHTTP = plainHTTP
        self.host = host
        self.version = version
    }

    /// The same for a worker of its own that sends e-mail, with its own number of mails at a time.
    public func sendingMail(by mail: MailTransport, atATime: Int) -> WorkerConfiguration {
        var other = self
        other.mail = mail
        other.channels = [.email]
        other.maxInFlight = atATime
        other.windowNote = nil
        return other
    }
}
