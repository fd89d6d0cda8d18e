internal import CCurl

/// The parts of a URL that decide whether it may be used, as libcurl itself parses it. Allowed are https, and http to
/// the hosts of a `PlainHTTP`.
struct URLParts {
    let origin: String
    /// The URL up to its origin, and a slash.
    let root: String
    /// Path and query, as they are sent.
    let target: String

    init(_ text: String, plainHTTP: PlainHTTP = .toThisMachine) throws(HTTPError) {
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw HTTPError(.invalidURL("it holds a space or a control character"))
        }
        guard let url = unsafe curl_url() else { throw HTTPError(.setup("curl_url found no memory")) }
        defer { unsafe curl_url_cleanup(url) }
        let code = unsafe curl_url_set(url, CURLUPART_URL, text, 0)
        guard code == CURLUE_OK else {
            throw unsafe HTTPError(.invalidURL(String(cString: curl_url_strerror(code)).lowercased()))
        }
        // Only copies of the parts leave the handle.
        func part(_ part: CURLUPart) -> String? {
            var value: UnsafeMutablePointer<CChar>?
            guard unsafe curl_url_get(url, part, &value, 0) == CURLUE_OK, let found = unsafe value else { return nil }
            defer { unsafe curl_free(found) }
            return unsafe String(cString: found)
        }
        let scheme = part(CURLUPART_SCHEME) ?? ""
        let host = part(CURLUPART_HOST) ?? ""
        origin = "\(scheme)://\(host)" + (part(CURLUPART_PORT).map { ":\($0)" } ?? "")
        if part(CURLUPART_USER) != nil || part(CURLUPART_PASSWORD) != nil {
            throw HTTPError(.invalidURL("it has a user name or a password in it"), origin: origin)
        }
        if part(CURLUPART_FRAGMENT) != nil { throw HTTPError(.invalidURL("it has a fragment"), origin: origin) }
        target = (part(CURLUPART_PATH) ?? "/") + (part(CURLUPART_QUERY).map { "?\($0)" } ?? "")
        guard unsafe curl_url_set(url, CURLUPART_PATH, "/", 0) == CURLUE_OK,
            unsafe curl_url_set(url, CURLUPART_QUERY, nil, 0) == CURLUE_OK, let root = part(CURLUPART_URL)
        else { throw HTTPError(.setup("curl_url_set found no memory"), origin: origin) }
        self.root = root
        switch scheme {
        case "https": return
        case "http":
            guard plainHTTP.allows(host.lowercased()) else { throw HTTPError(.insecureURL, origin: origin) }
        default: throw HTTPError(.invalidURL("it is neither https nor http"), origin: origin)
        }
    }
}

/// The hosts that may be asked over plain http, where everyone on the way can read the request.
public enum PlainHTTP: Sendable, Hashable {
    /// Only this machine, by the form of the host's name: see `Loopback`.
    case toThisMachine
    /// Every host except Twilio's own: for a stand-in of Twilio in a private network.
    case toAnyHostButTwilio

    /// Whether plain http to `host`, in lower case, is allowed.
    public func allows(_ host: String) -> Bool {
        switch self {
        case .toThisMachine: Loopback.contains(host)
        case .toAnyHostButTwilio: !Self.isTwilio(host)
        }
    }

    /// Whether `host` is twilio.com or a name below it. A dot at the end does not change the name.
    private static func isTwilio(_ host: String) -> Bool {
        let name = host.last == "." ? host.dropLast() : host[...]
        return name == "twilio.com" || name.hasSuffix(".twilio.com")
    }
}

/// Whether a host is this machine by its very form, so that plain http to it stays here.
public enum Loopback {
    /// Whether `host`, in lower case, is `localhost`, 127.x.x.x or ::1, with or without brackets. No name is looked up:
    /// libcurl resolves `localhost` by itself (since 7.78).
    public static func contains(_ host: String) -> Bool {
        if ["localhost", "::1", "[::1]"].contains(host) { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127"
            && numbers.allSatisfy { number in
                // Digits alone: Swift would read a sign too.
                number.utf8.count <= 3 && number.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8(number) != nil
            }
    }
}
