public import OTP
public import Postgres
public import Queue

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
    /// For the row in `otp.worker_status` of a receiver that runs alone; nil where a worker's row has the counts.
    public var statusRow: WorkerReport?

    public init(
        database: ConnectionSettings, host: String, port: Int, publicURL: String, authToken: Secret,
        statusRow: WorkerReport? = nil
    ) {
        self.database = database
        self.host = host
        self.port = port
        self.publicURL = publicURL
        self.authToken = authToken
        self.statusRow = statusRow
    }
}
