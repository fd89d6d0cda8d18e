/// What a client may take. Behind a proxy that speaks TLS most of it is the proxy's business too; this does not count on
/// that.
public struct ServerLimits: Sendable {
    /// Connections at a time. A further one makes `ConnectionPlaces` close one of them.
    public var connections = 256
    /// When all places are taken: for how long a connection may be silent before it is the first to make room.
    public var silentMilliseconds: Int64 = 1_000
    /// When all places are taken: for how long an incomplete request counts as one under way.
    public var stalledMilliseconds: Int64 = 2_000
    /// A request line with its headers, in bytes; what one read brings on top of it is let pass.
    public var headBytes = 16 << 10
    /// What a body may take on the wire, its chunks' sizes included.
    public var wireBytes = 160 << 10
    /// A whole request, from its first byte or the connection's beginning; and an answer that nobody reads.
    public var requestMilliseconds: Int64 = 10_000
    /// A connection between two requests: longer than the minute for which proxies keep theirs, so that they let go first.
    public var idleMilliseconds: Int64 = 75_000
    /// How long a client that was refused may go on sending before the connection is cut, so that it reads the answer.
    public var lingerMilliseconds: Int64 = 1_000
    /// For the requests under way when the server stops.
    public var stopMilliseconds: Int64 = 2_000

    public init() {}
}
