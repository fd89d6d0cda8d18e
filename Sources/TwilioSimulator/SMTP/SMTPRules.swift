/// The sink's settings that a conversation depends on.
struct SMTPRules: Equatable, Sendable {
    /// Whether it has a certificate. If so, mails and passwords need TLS.
    var offersTLS = false
    /// The only user and password that are accepted; nil for any, and for none.
    var user: String?
    var password: String?
    /// The largest mail, in bytes.
    var maxBytes = 10 << 20

    func accepts(user: String, password: String) -> Bool {
        guard let wanted = self.user else { return !user.isEmpty }
        return user == wanted && password == (self.password ?? "")
    }
}
