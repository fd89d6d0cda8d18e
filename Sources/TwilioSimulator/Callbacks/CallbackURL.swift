/// An `http` URL for callbacks. TLS is not supported here.
struct CallbackURL: Equatable, Sendable {
    /// The URL as given, which the signature covers.
    let text: String
    let host: String
    let port: Int
    /// Path and query.
    let target: String

    init?(_ text: String) {
        guard text.hasPrefix("http://"), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let rest = text.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest.dropFirst(authority.count).prefix { $0 != "#" }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty, parts.count <= 2 else { return nil }
        if parts.count == 2 {
            guard let port = Int(parts[1]), (1...65535).contains(port) else { return nil }
            self.port = port
        } else {
            port = 80
        }
        self.text = text
        self.host = String(host)
        target = path.hasPrefix("/") ? String(path) : "/" + path
    }
}
