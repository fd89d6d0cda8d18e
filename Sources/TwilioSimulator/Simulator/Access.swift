/// Decides which requests the simulator accepts, and where it sends callbacks. It holds codes, and requests choose the
/// URLs that it sends to.
struct Access: Sendable {
    /// Whether it listens on loopback alone.
    let isLocal: Bool
    /// The token that requests for `/_sim/` must have; nil for none.
    let controlToken: String?
    /// Whether callbacks may go to other machines.
    let allowsRemoteCallbacks: Bool

    init(_ settings: Settings) {
        isLocal = Self.isLoopback(settings.host)
        controlToken = settings.controlToken
        allowsRemoteCallbacks = settings.allowsRemoteCallbacks
    }

    /// Whether a request's `Host` is one of this machine's own names. This stops a web page whose DNS name points to
    /// 127.0.0.1 from reading codes, because its requests have that name as Host.
    func accepts(host: String?) -> Bool {
        guard isLocal, let host else { return true }
        return Self.isLoopback(Self.name(of: host))
    }

    /// Whether a request may see codes and change the simulator's behavior.
    func allowsControl(_ authorization: String?) -> Bool {
        guard let controlToken else { return true }
        let wanted = Array("Bearer \(controlToken)".utf8)
        let shown = Array((authorization ?? "").utf8)
        // In constant time, wherever they differ.
        var difference = wanted.count ^ shown.count
        for (index, byte) in wanted.enumerated() {
            difference |= Int(byte ^ (index < shown.count ? shown[index] : 0))
        }
        return difference == 0
    }

    func allowsCallback(to host: String) -> Bool { allowsRemoteCallbacks || Self.isLoopback(host) }

    /// The host without its port and without the brackets of IPv6.
    private static func name(of host: String) -> String {
        if host.first == "[" { return String(host.dropFirst().prefix { $0 != "]" }) }
        return String(host.prefix { $0 != ":" })
    }

    /// `localhost` and names under it, 127.0.0.0/8, `::1`.
    static func isLoopback(_ host: String) -> Bool {
        let host = host.lowercased()
        if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
                    && UInt8(part) != nil
            }
    }
}
