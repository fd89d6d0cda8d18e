/// The program that answered in Twilio's place, as far as its answer tells: a firewall, a proxy, a wrong server.
///
/// Its header values are text from outside, and they reach logs and status rows. So they are cut, and they hold neither
/// control characters nor a number long enough to be a phone number or a code. The body is not kept.
/// characters nor a number long enough to be a phone number or a code. The body is not kept.
public struct Responder: Sendable, Hashable, CustomStringConvertible {
    public let httpStatus: Int
    /// The type alone, without parameters: `text/html`.
    public let contentType: String?
    public let server: String?
    public let via: String?

    /// The longest text kept of a header, in characters.
    static let longest = 60

    public init(httpStatus: Int, contentType: String? = nil, server: String? = nil, via: String? = nil) {
        self.httpStatus = httpStatus
        self.contentType = contentType.flatMap { type in
            Self.cleaned(type.prefix { $0 != ";" })
        }
        self.server = server.flatMap { Self.cleaned($0[...]) }
        self.via = via.flatMap { Self.cleaned($0[...]) }
    }

    /// `HTTP status 403 (text/html; Server: nginx; Via: 1.1 squid)`.
    public var description: String {
        let parts = [contentType, server.map { "Server: \($0)" }, via.map { "Via: \($0)" }].compactMap { $0 }
        return "HTTP status \(httpStatus)" + (parts.isEmpty ? "" : " (\(parts.joined(separator: "; ")))")
    }

    /// What the operator can do.
    public var remedy: String {
        switch httpStatus {
        case 407:
            "otpd cannot sign in to a proxy. Let this machine reach Twilio directly, or set TWILIO_API_BASE_URL to a "
                + "host that it may reach."
        default: Self.remedy
        }
    }

    static let remedy =
        "Check the firewall or proxy between this machine and Twilio, and that TWILIO_API_BASE_URL is Twilio's API."

    /// Printable ASCII, cut, with only the first four digits of longer numbers. Nil if nothing is left.
    private static func cleaned(_ text: Substring) -> String? {
        var clean = ""
        var digits = 0
        for byte in text.utf8.prefix(4 * longest) where clean.utf8.count < longest {
            let isDigit = (0x30...0x39).contains(byte)
            digits = isDigit ? digits + 1 : 0
            guard digits <= 4 else { continue }
            clean.unicodeScalars.append((0x20...0x7E).contains(byte) ? Unicode.Scalar(byte) : "?")
        }
        while clean.last == " " { clean.removeLast() }
        return clean.isEmpty ? nil : clean
    }
}
