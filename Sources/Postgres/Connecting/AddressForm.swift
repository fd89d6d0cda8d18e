/// Checks that a connection URL has one reading only.
///
/// libpq finds parts in almost any text. In `postgresql://u:a/b@host/db` it finds the host `u`, the port `a` and a
/// database named `b@host/db`. Messages and logs show hosts, ports and names, and here these are parts of a password.
/// So a URL is accepted only if no other reading exists.
enum AddressForm {
    /// The remedy for a user or a password with special characters.
    static let encoding =
        "Percent-encode these characters of user and password: % as %25, @ as %40, / as %2F, : as %3A, ? as %3F, "
        + "# as %23, space as %20."

    /// The part of a URL after its scheme; nil if `text` is not a URL.
    static func rest(_ text: String) -> Substring? {
        for scheme in ["postgresql://", "postgres://"] where text.hasPrefix(scheme) {
            return text.dropFirst(scheme.count)
        }
        return nil
    }

    /// Why the URL or the list of `key=value` is refused; nil if its parts are certain. Quotes no part of it.
    static func refusal(_ text: String) -> String? {
        guard let rest = rest(text) else {
            // The text before the first = is an option's name, or the text is something else, such as
            // jdbc:postgresql://…
            let name = text.prefix { $0 != "=" }
            guard name.count < text.count, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0 == "_" || $0 == " ") })
            else {
                return "is not a PostgreSQL URL. Write postgresql://user@host/database, or unset it and use PG*."
            }
            return nil
        }
        let bytes = Array(rest.utf8)
        let (at, slash) = (bytes.firstIndex(of: UInt8(ascii: "@")), bytes.firstIndex(of: UInt8(ascii: "/")))
        guard bytes.lastIndex(of: UInt8(ascii: "@")) == at else { return "has more than one @. \(encoding)" }
        if let at {
            // A / or ? before the @ ends the host for other readers, but not for libpq.
            if let slash, slash < at { return "has a / before the @. \(encoding)" }
            if bytes[..<at].contains(UInt8(ascii: "?")) { return "has a ? before the @. \(encoding)" }
        }
        return nil
    }

    /// Why the parts that libpq found in the URL are doubtful; nil if they are not.
    static func refusal(_ text: String, _ values: [String: String]) -> String? {
        guard let rest = rest(text) else { return nil }
        // If the user, the host or the database was forgotten, one word is left, and it may be the password.
        if !rest.contains("@"), !(values["host"] ?? "").isEmpty, values["user"] == nil, (values["dbname"] ?? "").isEmpty
        {
            return "names neither a user nor a database. Write postgresql://user@host/database."
        }
        return nil
    }
}
