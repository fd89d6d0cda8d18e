internal import CCurl

/// A URL and the headers of its requests, built once and used by every request. May hold an authorization, so its
/// description shows the origin alone.
///
/// `Sendable` although it owns a C list: nothing changes the list after `init`, and libcurl only reads it.
@safe public final class Endpoint: Sendable, CustomStringConvertible {
    /// Scheme, host and port.
    public let origin: String
    /// The URL of its server, and the path and query, kept apart. libcurl parses and writes a whole URL again for every
    /// transfer, byte by byte, which takes 13,000 instructions of 76,000.
    let root: String
    let target: String
    // Freed only in `deinit`. Every transfer that uses it holds the endpoint.
    nonisolated(unsafe) let headers: UnsafeMutablePointer<curl_slist>?

    /// - Throws: `HTTPError` for a refused URL, or for a header with a control character.
    init(
        url: String, headers list: [Request.Header], plainHTTP: PlainHTTP = .toThisMachine
    ) throws(HTTPError) {
        let parts = try URLParts(url, plainHTTP: plainHTTP)
        origin = parts.origin
        root = parts.root
        target = parts.target
        // An empty Expect header keeps libcurl from waiting for a "100 Continue" before it sends a body.
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
