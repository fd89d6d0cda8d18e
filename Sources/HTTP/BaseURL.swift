internal import CCurl

/// Where requests may go: an https URL, or an http one to this machine, as libcurl itself reads it.
public struct BaseURL: Sendable, Hashable, CustomStringConvertible {
    /// The URL without a slash at its end.
    public let text: String
    /// Scheme, host and port: all of it that an error shows.
    public let origin: String

    /// Checks a base URL.
    ///
    /// - Throws: `HTTPError` when it can't be parsed, is neither https nor http to the loopback address, or carries a
    ///   user name, a query or a fragment.
    public init(_ text: String) throws(HTTPError) {
        let url = try URLParts(text)
        guard url.query == nil else { throw HTTPError(.invalidURL("it has a query"), origin: url.origin) }
        var text = text
        while text.hasSuffix("/") { text.removeLast() }
        self.text = text
        origin = url.origin
    }

    public var description: String { origin }
}

/// The parts of a URL that decide whether it may be used.
struct URLParts {
    let origin: String
    let query: String?

    init(_ text: String) throws(HTTPError) {
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw HTTPError(.invalidURL("it holds a space or a control character"))
        }
        guard let url = unsafe curl_url() else { throw HTTPError(.setup("curl_url found no memory")) }
        defer { unsafe curl_url_cleanup(url) }
        let code = unsafe curl_url_set(url, CURLUPART_URL, text, 0)
        guard code == CURLUE_OK else {
            throw unsafe HTTPError(.invalidURL(String(cString: curl_url_strerror(code)).lowercased()))
        }
        // Only its own copies of the parts leave the handle.
        func part(_ part: CURLUPart) -> String? {
            var value: UnsafeMutablePointer<CChar>?
            guard unsafe curl_url_get(url, part, &value, 0) == CURLUE_OK, let found = unsafe value else { return nil }
            defer { unsafe curl_free(found) }
            return unsafe String(cString: found)
        }
        let scheme = part(CURLUPART_SCHEME) ?? ""
        let host = part(CURLUPART_HOST) ?? ""
        origin = "\(scheme)://\(host)" + (part(CURLUPART_PORT).map { ":\($0)" } ?? "")
        query = part(CURLUPART_QUERY)
        if part(CURLUPART_USER) != nil || part(CURLUPART_PASSWORD) != nil {
            throw HTTPError(.invalidURL("it carries a user name or a password, which belong elsewhere"), origin: origin)
        }
        if part(CURLUPART_FRAGMENT) != nil { throw HTTPError(.invalidURL("it has a fragment"), origin: origin) }
        switch scheme {
        case "https": return
        case "http":
            guard Self.isLoopback(host) else { throw HTTPError(.insecureURL, origin: origin) }
        default: throw HTTPError(.invalidURL("it is neither https nor http"), origin: origin)
        }
    }

    /// Whether `host`, as libcurl normalises it, can only be this machine.
    ///
    /// libcurl resolves `localhost` by itself, without asking anybody (since 7.78).
    static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "[::1]" { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { UInt8($0) != nil }
    }
}
