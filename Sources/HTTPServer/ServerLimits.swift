/// The limits for a client. Behind a proxy that terminates TLS most of them are the proxy's duty too, but the server
/// does not rely on that.
public struct ServerLimits: Sendable {
    /// Connections at a time. A further one makes `ConnectionPlaces` close one of them.
    public var connections = 256
    /// When all places are taken: for how long a connection may be silent before it is the first to make room.
    public var silentMilliseconds: Int64 = 1_000
    /// When all places are taken: for how long an incomplete request counts as one under way.
    public var stalledMilliseconds: Int64 = 2_000
    /// The bytes of a request line and its headers. One read may exceed this.
    public var headBytes = 16 << 10
    /// The bytes of a body on the wire, its chunks' sizes included.
    public var wireBytes = 160 << 10
    /// The time for a whole request, from its first byte or the connection's beginning. Also the time for an answer
    /// that the client does not read.
    public var requestMilliseconds: Int64 = 10_000
    /// The time between two requests. It is longer than the minute for which proxies keep connections, so that they
    /// close first.
    public var idleMilliseconds: Int64 = 75_000
    /// How long a refused client may still send before the connection is closed, so that it can read the answer.
    public var lingerMilliseconds: Int64 = 1_000
    /// The time for the requests under way when the server stops.
    public var stopMilliseconds: Int64 = 2_000

    public init() {}
}
