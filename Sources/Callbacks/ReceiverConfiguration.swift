public import HTTPServer
public import OTP
public import Postgres
public import Queue

/// What the receiver needs to know. The settings make it.
public struct ReceiverConfiguration: Sendable {
    /// The database. The role needs `otp.record_status` and no secret.
    public var database: ConnectionSettings
    /// Where to listen.
    public var listen: ListenAddress
    /// The URL that Twilio calls, without the query.
    public var publicURL: String
    /// The account's primary token: callbacks are signed with nothing else.
    public var authToken: Secret
    /// For the row in `otp.worker_status` of a receiver that runs alone; nil if a worker's row has the counts.
    public var statusRow: WorkerReport?

    public init(
        database: ConnectionSettings, listen: ListenAddress, publicURL: String, authToken: Secret,
        statusRow: WorkerReport? = nil
    ) {
        self.database = database
        self.listen = listen
        self.publicURL = publicURL
        self.authToken = authToken
        self.statusRow = statusRow
    }
}

/// The receiver's own limits, and those of its server on what a client may take.
@dynamicMemberLookup
struct Limits: Sendable {
    var server = ServerLimits()
    /// A body, in bytes: Twilio's have about 500.
    var bodyBytes = 64 << 10
    /// Callbacks that wait to be recorded, about 100 bytes each. Further ones are dropped, and their messages are
    /// polled.
    var buffered = 10_000
    /// Callbacks in one statement.
    var batch = 200

    subscript<Value>(dynamicMember limit: WritableKeyPath<ServerLimits, Value>) -> Value {
        get { server[keyPath: limit] }
        set { server[keyPath: limit] = newValue }
    }
}
