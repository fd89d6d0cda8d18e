public import EventLoop

/// The limits of a client.
///
/// Not to be configured, on purpose: TLS is verified; redirects are not followed; no proxy is used, since a stray
/// `https_proxy` in the environment may not lead codes elsewhere; HTTP/1.1 with keep-alive, so that one lost
/// connection makes one outcome unknown.
public struct HTTPConfiguration: Sendable {
    /// Until a connection and its TLS session stand.
    public var connectTimeout: Instant.Duration = .seconds(5)
    /// For a whole POST.
    public var totalTimeout: Instant.Duration = .seconds(10)
    /// How long the kernel retransmits what the server does not acknowledge (`TCP_USER_TIMEOUT`): what has not left
    /// by then never leaves.
    public var tcpUserTimeout: Instant.Duration = .seconds(10)
    /// A connection that has been idle longer is not used again: load balancers drop them after 60 s, and a POST
    /// that meets such a drop has an unknown outcome.
    public var idleLimit: Instant.Duration = .seconds(30)
    /// Connections at a time, idle ones included; requests beyond wait for one.
    public var maxConnections = 72
    /// Bytes of an answer's body, and of its head.
    public var answerLimit = 64 * 1024
    /// A file of certificates (PEM) to trust instead of the system's.
    public var caFile: String?
    /// The `User-Agent`.
    public var userAgent = "otpd"

    /// The defaults.
    public init() {}
}
