/// The simulator's settings.
struct Settings: Sendable {
    var host = "127.0.0.1"
    /// The token that requests for `/_sim/` must have as `Authorization: Bearer …`; nil for none.
    var controlToken: String?
    /// Whether callbacks may go to other machines.
    var allowsRemoteCallbacks = false
    /// 0 for a free port.
    var port = 0
    var accountSID = "AC00000000000000000000000000000000"
    var authToken = "simulator-auth-token"
    var apiKeySID: String?
    var apiKeySecret: String?
    var delays = StatusDelays()
    /// How many of the newest messages are kept.
    var capacity = 1_000_000
    /// The seed of SIDs and of faults by rate.
    var seed: UInt64 = 0
    var latencyMilliseconds = 0
    var listLagMilliseconds = 0
    var errorFormat = TwilioError.Format.classic
    /// Calls that leave the queue within a second; 0 for no limit.
    var callsPerSecond = 1.0
    /// The content templates for messages.
    var templates = ContentTemplates.standard
    /// The sink of e-mails; nil for none.
    var mail: MailSettings?
    /// A JSON object for `/_sim/faults`, applied at the start and after each reset.
    var faults: [UInt8] = []
}

/// The settings of the sink of e-mails.
struct MailSettings: Sendable {
    /// The port for plain text and STARTTLS, 0 for a free one; nil for none.
    var port: Int?
    /// The port for TLS from the first byte, 0 for a free one; nil for none.
    var tlsPort: Int?
    var rules = SMTPRules()
    var certificate: Certificate?

    enum Certificate: Sendable {
        /// PEM files.
        case files(certificate: String, key: String)
        /// Made at the start, for `localhost` and 127.0.0.1. The certificate is written to this file.
        case selfSigned(path: String)
    }
}
