internal import HTTP
internal import HTTPServer

/// A host and a port, as in a URL.
enum HostAndPort {
    /// Splits `host`, `host:port`, `[IPv6]` or `[IPv6]:port`; nil when it is none of them. The host comes in lower case,
    /// an IPv6 address with its brackets.
    static func split(_ text: Substring) -> (host: String, port: UInt16?)? {
        let host: Substring
        let rest: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            rest = text[text.index(after: end)...]
            host = text[...end]
            let inside = host.dropFirst().dropLast()
            // ASCII alone: Swift counts full-width digits among the hexadecimal ones.
            guard inside.contains(":"),
                inside.allSatisfy({ $0.isASCII && ($0.isHexDigit || $0 == ":" || $0 == ".") })
            else { return nil }
        } else {
            let colon = text.firstIndex(of: ":") ?? text.endIndex
            host = text[..<colon]
            rest = text[colon...]
            guard isName(host) else { return nil }
        }
        guard !rest.isEmpty else { return (host.lowercased(), nil) }
        guard rest.first == ":", let port = port(rest.dropFirst()) else { return nil }
        return (host.lowercased(), port)
    }

    /// 1…65535, in digits alone.
    static func port(_ text: Substring) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let port = UInt16(text), port > 0
        else { return nil }
        return port
    }

    /// A DNS name or an IPv4 address (RFC 1123): labels of 1–63 letters, digits and hyphens, 253 in all.
    private static func isName(_ host: Substring) -> Bool {
        guard (1...253).contains(host.utf8.count) else { return false }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
    }
}

extension ListenAddress {
    /// Whether only this machine can reach it: `localhost`, 127.0.0.0/8 or ::1. Any other name may be anything.
    var isLoopback: Bool { Loopback.contains(host) }

    /// Parses `host:port` or `[IPv6]:port`.
    init(_ text: String) throws(InvalidValue) {
        guard let (host, port) = HostAndPort.split(text[...]), let port else {
            throw InvalidValue("is not an address to listen on; write it as 127.0.0.1:8080 or [::1]:8080")
        }
        self.init(host: host.first == "[" ? String(host.dropFirst().dropLast()) : host, port: Int(port))
    }
}
