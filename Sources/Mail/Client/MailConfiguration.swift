public import EventLoop

/// The limits of a mail client.
///
/// Some things are not configurable, on purpose. TLS is verified. No proxy is used. Without TLS, nothing goes to
/// another machine. The login uses PLAIN or LOGIN, which are safe inside TLS.
public struct MailConfiguration: Sendable {
    /// For establishing a connection, its TLS session and the login.
    public var connectTimeout: Instant.Duration = .seconds(10)
    /// For a whole mail. Servers may take long to reply to a content, and giving up on that reply makes the outcome
    /// unknown. So this is longer than for HTTP.
    public var totalTimeout: Instant.Duration = .seconds(20)
    /// How long the kernel retransmits bytes that the server does not acknowledge (`TCP_USER_TIMEOUT`).
    public var tcpUserTimeout: Instant.Duration = .seconds(10)
    /// A connection that was idle for longer is ended.
    public var idleLimit: Instant.Duration = .seconds(30)
    /// Connections at a time, idle ones included. Further mails wait for one. Many providers allow ten.
    public var maxConnections = 8
    /// A file of certificates (PEM) to trust instead of the system's.
    public var caFile: String?
    /// The name in EHLO. The machine's host name if nil.
    public var clientName: String?

    /// The defaults.
    public init() {}
}
