public import OTP
public import Postgres

/// Everything the receiver needs to know; made by the settings.
public struct ReceiverConfiguration: Sendable {
    /// The database. The role needs `otp.record_status` and no secret.
    public var database: ConnectionSettings
    /// A name or an address to listen on; IPv6 without brackets.
    public var host: String
    /// 0 picks a free one.
    public var port: Int
    /// What Twilio was told to call, without the query.
    public var publicURL: String
    /// The account's primary token: callbacks are signed with nothing else.
    public var authToken: Secret

    public init(database: ConnectionSettings, host: String, port: Int, publicURL: String, authToken: Secret) {
        self.database = database
        self.host = host
        self.port = port
        self.publicURL = publicURL
        self.authToken = authToken
    }
}
