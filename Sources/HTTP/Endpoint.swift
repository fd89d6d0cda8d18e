internal import CCurl

/// A URL and the headers of its requests, built once and used by every one of them. May hold an authorization: its
/// description shows the origin alone.
///
/// `Sendable` though it owns a C list: nothing changes the list after `init`, and libcurl only reads it.
@safe public final class Endpoint: Sendable, CustomStringConvertible {
    /// Scheme, host and port.
    public let origin: String
    /// The URL of its server, and what is asked for there. Apart, since libcurl reads and writes a whole URL anew for every
    /// transfer, byte by byte: 13,000 instructions of 76,000.
    let root: String
    let target: String
    // Freed in deinit alone; every transfer that uses it holds the endpoint.
    nonisolated(unsafe) let headers: UnsafeMutablePointer<curl_slist>?

    /// - Throws: `HTTPError` for a URL that may not be used, or a header that would break out of its line.
    init(url: String, headers list: [Request.Header]) throws(HTTPError) {
        let parts = try URLParts(url)
        origin = parts.origin
        root = parts.root
        target = parts.target
        // An empty Expect keeps libcurl from waiting for a "100 Continue" before it sends a body.
        var head = unsafe curl_slist_append(nil, "Expect:")
        for header in list {
            guard Self.isSafe(header) else {
                unsafe curl_slist_free_all(head)
                throw HTTPError(.invalidHeader(header.name), origin: origin)
            }
            guard let longer = unsafe curl_slist_append(head, "\(header.name): \(header.value)") else {
                unsafe curl_slist_free_all(head)
                throw HTTPError(.setup("no memory for a header"), origin: origin)
            }
            unsafe head = longer
        }
        unsafe headers = head
    }

    deinit { unsafe curl_slist_free_all(headers) }

    public var description: String { origin }

    private static func isSafe(_ header: Request.Header) -> Bool {
        let nameIsToken = header.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
        return !header.name.isEmpty && nameIsToken && !header.value.utf8.contains { $0 < 0x20 || $0 == 0x7F }
            && !header.value.isEmpty
    }
}
