internal import HTTP

/// An http or https URL without a user, a query or a fragment.
struct WebAddress: Equatable, Sendable, CustomStringConvertible {
    enum Scheme: String, Sendable {
        case http, https
    }

    let scheme: Scheme
    /// The host in lower case. An IPv6 address keeps its brackets.
    let host: String
    /// The port. Nil for the scheme's default.
    let port: UInt16?
    /// The path with its leading slash. Empty where there is none.
    let path: String

    /// The URL, with no slash at the end.
    var description: String {
        "\(scheme.rawValue)://\(host)\(port.map { ":\($0)" } ?? "")\(path)"
    }

    /// Parses `https://host[:port][/path]`. Plain http is allowed only to the hosts of `plainHTTP`. A user, a query and a
    /// fragment are refused. Slashes at the end are removed.
    init(_ text: String, plainHTTP: PlainHTTP = .toThisMachine) throws(InvalidValue) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw InvalidValue("is not a URL: it contains spaces or characters other than ASCII. Percent-encode them.")
        }
        guard let mark = text.firstRange(of: "://"),
            let scheme = Scheme(rawValue: text[..<mark.lowerBound].lowercased())
        else { throw InvalidValue("is not an https URL. Write it as https://host") }
        let rest = text[mark.upperBound...]
        guard !rest.contains("?") else { throw InvalidValue("has a query (?…). Remove it.") }
        guard !rest.contains("#") else { throw InvalidValue("has a fragment (#…). Remove it.") }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        guard !authority.contains("@") else {
            throw InvalidValue("has a user or password (…@). Remove it: credentials have settings of their own.")
        }
        guard let (host, port) = HostAndPort.split(authority) else {
            throw InvalidValue("has no valid host and port. Write it as https://host or https://host:port")
        }
        var path = rest[slash...]
        while path.last == "/" { path.removeLast() }
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = String(path)
        guard scheme == .https || plainHTTP.allows(host) else {
            throw InvalidValue(
                plainHTTP == .toThisMachine
                    ? "is plain http to another machine, which would reveal credentials. Use https://"
                    : "is plain http to Twilio, which would reveal credentials and codes. Use https://")
        }
    }

    /// Whether requests to it cross a network without encryption.
    var isReadableOnTheWay: Bool { scheme == .http && !Loopback.contains(host) }

    /// Parses a URL without a path: Twilio's API, an edge of it, or the simulator.
    static func base(_ text: String, plainHTTP: PlainHTTP = .toThisMachine) throws(InvalidValue) -> WebAddress {
        let address = try WebAddress(text, plainHTTP: plainHTTP)
        guard address.path.isEmpty else { throw InvalidValue("has a path. Remove everything after the host and port.") }
        return address
    }
}
