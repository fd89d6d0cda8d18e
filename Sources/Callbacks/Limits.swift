import HTTPServer

/// What the receiver holds at most; what a client may take is the server's.
@dynamicMemberLookup
struct Limits: Sendable {
    var server = ServerLimits()
    /// A body, in bytes: Twilio's have about 500.
    var bodyBytes = 64 << 10
    /// Callbacks that wait to be written, about 100 bytes each. What comes on top is dropped: the poller asks for it.
    var buffered = 10_000
    /// Callbacks in one statement.
    var batch = 200

    subscript<Value>(dynamicMember limit: WritableKeyPath<ServerLimits, Value>) -> Value {
        get { server[keyPath: limit] }
        set { server[keyPath: limit] = newValue }
    }
}
