internal import HTTP

/// An http or https URL, checked as strictly as otpd needs it.
struct WebAddress: Equatable, Sendable, CustomStringConvertible {
    enum Scheme: String, Sendable {
        case http, https
    }

    let scheme: Scheme
    /// In lower case; an IPv6 address keeps its brackets.
    let host: String
    /// Nil for the scheme's own.
    let port: UInt16?
    /// With its leading slash; empty for none.
    let path: String

    /// The URL, with no slash at the end.
    var description: String {
        "\(scheme.rawValue)://\(host)\(port.map { ":\($0)" } ?? "")\(path)"
    }

    /// Parses `https://host[:port][/path]`; plain http is allowed to this machine alone. A user, a query or a fragment
    /// is refused; slashes at the end are dropped.
    init(_ text: String) throws(InvalidValue) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw InvalidValue("is not a URL: it contains spaces or characters other than ASCII; percent-encode them")
        }
        guard let mark = text.firstRange(of: "://"),
            let scheme = Scheme(rawValue: text[..<mark.lowerBound].lowercased())
        else { throw InvalidValue("is not a URL of https://; write it as https://host") }
        let rest = text[mark.upperBound...]
        guard !rest.contains("?") else { throw InvalidValue("has a query (?…); remove it") }
        guard !rest.contains("#") else { throw InvalidValue("has a fragment (#…); remove it") }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        guard !authority.contains("@") else {
            throw InvalidValue("has a user or password (…@); remove it, credentials have settings of their own")
        }
        guard let (host, port) = HostAndPort.split(authority) else {
            throw InvalidValue("has no valid host and port; write it as https://host or https://host:port")
        }
        var path = rest[slash...]
        while path.last == "/" { path.removeLast() }
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = String(path)
        guard scheme == .https || Loopback.contains(host) else {
            throw InvalidValue("is plain http to another machine, which would show credentials; use https://")
        }
    }

    /// The same without a path: Twilio's API, an edge of it, or the simulator.
    static func base(_ text: String) throws(InvalidValue) -> WebAddress {
        let address = try WebAddress(text)
        guard address.path.isEmpty else { throw InvalidValue("has a path; end it after the host and port") }
        return address
    }
}
