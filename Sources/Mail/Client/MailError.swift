/// Why a mail client or a mail server's settings cannot be used, or why a check failed, as text for people.
///
/// Names a host at most, never a user name, a password or an address.
public struct MailError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    public enum Reason: Sendable, Hashable {
        /// The text is not a usable URL; says why.
        case invalidURL(String)
        /// A user name without a password or the reverse, or a NUL in one of them.
        case invalidCredentials
        /// The server refused the connection or the login.
        case refused(MailRefusal)
        /// There is no connection that is logged in.
        case notSent(MailNotSentReason)
        /// libcurl is unusable; says why.
        case setup(String)
    }

    /// What went wrong.
    public var reason: Reason
    /// Scheme, host and port of the URL, if there is one.
    public var origin: String?

    init(_ reason: Reason, origin: String? = nil) {
        self.reason = reason
        self.origin = origin
    }

    public var description: String {
        let place = origin.map { " (\($0))" } ?? ""
        return switch reason {
        case .invalidURL(let why):
            "unusable URL of a mail server\(place): \(why). Set it to one like smtps://mail.example.com."
        case .invalidCredentials:
            "unusable login for the mail server\(place): set both user name and password or neither, without NUL."
        case .refused(let refusal): "\(refusal)\(place). \(refusal.remedy)"
        case .notSent(let why): "cannot use the mail server\(place): \(why). \(why.remedy)"
        case .setup(let why): "cannot use libcurl: \(why). Install Debian 12's libcurl4 (7.88.1 or newer)."
        }
    }
}
