public import EventLoop

/// The limits of a client.
///
/// Some things are not configurable, on purpose. TLS is verified. Redirects are not followed. No proxy is used, because
/// a stray `https_proxy` in the environment must not lead codes elsewhere. HTTP/1.1 with keep-alive is used, so that
/// one lost connection makes one outcome unknown.
public struct HTTPConfiguration: Sendable {
    /// For establishing a connection and its TLS session.
    public var connectTimeout: Instant.Duration = .seconds(5)
    /// For a whole POST.
    public var totalTimeout: Instant.Duration = .seconds(10)
    /// How long the kernel retransmits bytes that the server does not acknowledge (`TCP_USER_TIMEOUT`). Bytes that have
    /// not left by then never leave.
    public var tcpUserTimeout: Instant.Duration = .seconds(10)
    /// A connection that was idle for longer is not used again. Load balancers drop connections after 60 s, and a POST
    /// on a dropped connection has an unknown outcome.
    public var idleLimit: Instant.Duration = .seconds(30)
    /// Connections at a time, idle ones included. Further requests wait for one.
    public var maxConnections = 72
    /// The most bytes of an answer's body, and of its head.
    public var answerLimit = 64 * 1024
    /// A file of certificates (PEM) to trust instead of the system's.
    public var caFile: String?
    /// The hosts that may be asked over plain http.
    public var plainHTTP = PlainHTTP.toThisMachine
    /// The `User-Agent`.
    public var userAgent = "otpd"

    /// The defaults.
    public init() {}
}
