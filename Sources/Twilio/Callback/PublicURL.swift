/// The parts of a URL that a signature depends on. The URL is parsed no further.
enum PublicURL {
    /// The URL with its default port added or removed, beside the URL as given.
    static func portForms(_ url: String) -> [String] {
        let (scheme, port): (String, String)
        if url.hasPrefix("https://") {
            (scheme, port) = ("https://", ":443")
        } else if url.hasPrefix("http://") {
            (scheme, port) = ("http://", ":80")
        } else {
            return [url]
        }
        let start = url.utf8.index(url.startIndex, offsetBy: scheme.utf8.count)
        let end = url[start...].firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? url.endIndex
        let authority = url[start..<end]
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        // A colon inside brackets belongs to an IPv6 address.
        let afterBrackets = host.lastIndex(of: "]").map { host[$0...] } ?? host
        if afterBrackets.hasSuffix(port) {
            return [url, String(url[..<start] + authority.dropLast(port.count) + url[end...])]
        }
        guard !afterBrackets.contains(":") else { return [url] }
        return [url, "\(url[..<end])\(port)\(url[end...])"]
    }

    /// The value of a query parameter, as written; nil if it is absent.
    static func query(_ url: String, _ name: String) -> Substring? {
        guard let mark = url.firstIndex(of: "?") else { return nil }
        for field in url[url.index(after: mark)...].prefix(while: { $0 != "#" }).split(separator: "&") {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, parts[0] == name { return parts[1] }
        }
        return nil
    }

    /// The path without query and fragment, as written; `/` if there is none.
    static func path(_ url: String) -> String {
        let path = pathAndMore(url).prefix { $0 != "?" && $0 != "#" }
        return path.isEmpty ? "/" : String(path)
    }

    /// Whether a path follows the host and port, even if only a `/`.
    static func hasPath(_ url: String) -> Bool { pathAndMore(url).first == "/" }

    private static func pathAndMore(_ url: String) -> Substring {
        let start = url.firstRange(of: "://")?.upperBound ?? url.startIndex
        return url[start...].drop { $0 != "/" && $0 != "?" && $0 != "#" }
    }
}
