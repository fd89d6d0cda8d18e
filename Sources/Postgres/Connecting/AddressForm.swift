/// Whether a connection URL can be taken apart in one way only.
///
/// libpq finds pieces in almost any text: in `postgresql://u:a/b@host/db` the host `u`, the port `a` and a database named
/// `b@host/db`. Hosts, ports and names stand in messages and logs, and here they are parts of a password. So a URL is
/// taken only where no other reading exists.
enum AddressForm {
    /// What to do about a user or a password with characters of their own.
    static let encoding =
        "percent-encode these characters of user and password: % as %25, @ as %40, / as %2F, : as %3A, ? as %3F, "
        + "# as %23, space as %20"

    /// The part of a URL behind its scheme; nil where `text` is no URL.
    static func rest(_ text: String) -> Substring? {
        for scheme in ["postgresql://", "postgres://"] where text.hasPrefix(scheme) {
            return text.dropFirst(scheme.count)
        }
        return nil
    }

    /// Why the URL or the list of `key=value` is refused; nil where its pieces are certain. Quotes no part of it.
    static func refusal(_ text: String) -> String? {
        guard let rest = rest(text) else {
            // What stands before the first = is an option's name, or the text is something else: jdbc:postgresql://…
            let name = text.prefix { $0 != "=" }
            guard name.count < text.count, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0 == "_" || $0 == " ") })
            else {
                return "is no PostgreSQL address; write postgresql://user@host/database, or unset it and use PG*"
            }
            return nil
        }
        let bytes = Array(rest.utf8)
        let (at, slash) = (bytes.firstIndex(of: UInt8(ascii: "@")), bytes.firstIndex(of: UInt8(ascii: "/")))
        guard bytes.lastIndex(of: UInt8(ascii: "@")) == at else { return "has more than one @; \(encoding)" }
        if let at {
            // Before the @ other readers would find the end of the host, and libpq does not.
            if let slash, slash < at { return "has a / before the @; \(encoding)" }
            if bytes[..<at].contains(UInt8(ascii: "?")) { return "has a ? before the @; \(encoding)" }
        }
        return nil
    }

    /// Why the pieces that libpq found in the URL are not what was meant; nil where they are.
    static func refusal(_ text: String, _ values: [String: String]) -> String? {
        guard let rest = rest(text) else { return nil }
        // A forgotten user, host or database leaves one word, and that may be the password.
        if !rest.contains("@"), !(values["host"] ?? "").isEmpty, values["user"] == nil, (values["dbname"] ?? "").isEmpty
        {
            return "names neither a user nor a database; write postgresql://user@host/database"
        }
        return nil
    }
}
