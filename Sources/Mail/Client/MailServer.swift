internal import CCurl
internal import HTTP
public import OTP

/// A mail server and the login there, checked once and used by every mail. Its description shows the origin alone.
public final class MailServer: Sendable, CustomStringConvertible {
    /// How the connection is protected.
    public enum Security: Sendable, Hashable {
        /// TLS from the first byte (`smtps`).
        case tls
        /// TLS after STARTTLS, or no mail (`smtp`).
        case startTLS
        /// None, which is only possible to this machine.
        case plain
    }

    /// Scheme, host and port.
    public let origin: String
    public let security: Security
    let login: (username: Secret, password: Secret)?

    /// Reads `smtps://host[:465]`, or `smtp://host[:587]`.
    ///
    /// `smtp` needs STARTTLS, except to this machine (see `Loopback`) unless `requiresTLS`.
    /// - Throws: `MailError` for a refused URL or login.
    public init(
        url: String, username: Secret = Secret(""), password: Secret = Secret(""), requiresTLS: Bool = false
    ) throws(MailError) {
        let (scheme, host, port) = try Self.parts(of: url)
        origin = "\(scheme)://\(host):\(port)"
        security = scheme == "smtps" ? .tls : Loopback.contains(host) && !requiresTLS ? .plain : .startTLS
        func hasNUL(_ secret: Secret) -> Bool {
            secret.withBytes { bytes in bytes.indices.contains { bytes[$0] == 0 } }
        }
        guard username.isEmpty == password.isEmpty, !hasNUL(username), !hasNUL(password) else {
            throw MailError(.invalidCredentials, origin: origin)
        }
        login = username.isEmpty ? nil : (username, password)
    }

    public var description: String { origin }

    private static func parts(of text: String) throws(MailError) -> (scheme: String, host: String, port: String) {
        guard text.utf8.count <= 1000 else { throw MailError(.invalidURL("it is too long")) }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw MailError(.invalidURL("it has a space or a character other than ASCII"))
        }
        guard let url = unsafe curl_url() else { throw MailError(.setup("curl_url found no memory")) }
        defer { unsafe curl_url_cleanup(url) }
        let code = unsafe curl_url_set(url, CURLUPART_URL, text, 0)
        guard code == CURLUE_OK else {
            throw unsafe MailError(.invalidURL(String(cString: curl_url_strerror(code)).lowercased()))
        }
        // Only copies of the parts leave the handle.
        func part(_ part: CURLUPart) -> String? {
            var value: UnsafeMutablePointer<CChar>?
            guard unsafe curl_url_get(url, part, &value, 0) == CURLUE_OK, let found = unsafe value else { return nil }
            defer { unsafe curl_free(found) }
            return unsafe String(cString: found)
        }
        let (scheme, host) = (part(CURLUPART_SCHEME) ?? "", (part(CURLUPART_HOST) ?? "").lowercased())
        let origin = "\(scheme)://\(host)"
        guard scheme == "smtp" || scheme == "smtps" else {
            throw MailError(.invalidURL("it is neither smtps nor smtp"), origin: origin)
        }
        guard part(CURLUPART_USER) == nil, part(CURLUPART_PASSWORD) == nil, part(CURLUPART_OPTIONS) == nil else {
            throw MailError(.invalidURL("it has a user name, a password or options in it"), origin: origin)
        }
        guard ["/", nil].contains(part(CURLUPART_PATH)), part(CURLUPART_QUERY) == nil, part(CURLUPART_FRAGMENT) == nil
        else { throw MailError(.invalidURL("it has a path, a query or a fragment"), origin: origin) }
        return (scheme, host, part(CURLUPART_PORT) ?? (scheme == "smtps" ? "465" : "587"))
    }
}
