/// How a connection is protected on its way to the server, by libpq. A proxy on the way may decrypt it and pass it on.
public struct ConnectionSecurity: Sendable, Equatable {
    /// The host, as the settings name it, or a directory of sockets.
    public var host: String
    /// The numeric address. Empty for a Unix socket.
    public var address: String
    public var hasTLS: Bool
    public var hasGSS: Bool
    /// libpq's `sslmode`, such as `verify-full`.
    public var mode: String
    /// Such as 150004 and 160000.
    public var libpqVersion: Int32

    public init(host: String, address: String, hasTLS: Bool, hasGSS: Bool, mode: String, libpqVersion: Int32) {
        self.host = host
        self.address = address
        self.hasTLS = hasTLS
        self.hasGSS = hasGSS
        self.mode = mode
        self.libpqVersion = libpqVersion
    }

    /// Whether it stays on this machine: a Unix socket or a loopback address.
    public var isLocal: Bool {
        if address.isEmpty { return host.isEmpty || host.hasPrefix("/") || host.hasPrefix("@") || host == "localhost" }
        return address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
    }

    public var isEncrypted: Bool { hasTLS || hasGSS }

    /// Whether libpq checks that the server's certificate is from a trusted authority. Kerberos proves the server's
    /// identity by itself.
    public var isVerified: Bool { hasGSS || hasTLS && mode.hasPrefix("verify-") }
}
