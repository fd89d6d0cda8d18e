/// What a client of the receiver may take. Behind a proxy that speaks TLS most of it is the proxy's business too; the
/// receiver does not count on that.
struct Limits: Sendable {
    /// Connections at a time; further ones wait in the kernel's queue.
    var connections = 256
    /// A request line with its headers, in bytes; what one read brings on top of it is let pass.
    var headBytes = 16 << 10
    /// A body, in bytes: Twilio's have about 500.
    var bodyBytes = 64 << 10
    /// What a body may take on the wire, its chunks' sizes included.
    var wireBytes = 160 << 10
    /// A whole request, from its first byte or the connection's beginning; and an answer that nobody reads.
    var requestMilliseconds: Int64 = 10_000
    /// A connection between two requests: longer than the minute for which proxies keep theirs, so that they let go first.
    var idleMilliseconds: Int64 = 75_000
    /// How long a client that was refused may go on sending before the connection is cut, so that it reads the answer.
    var lingerMilliseconds: Int64 = 1_000
    /// For the requests under way when the receiver stops.
    var stopMilliseconds: Int64 = 2_000
    /// Callbacks that wait to be written, about 100 bytes each. What comes on top is dropped: the poller asks for it.
    var buffered = 10_000
    /// Callbacks in one statement.
    var batch = 200
}
