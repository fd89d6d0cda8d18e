internal import CLibpq
internal import Glibc

extension ConnectionSettings {
    /// What libpq says to all its options together, its service file included, before it would open a socket; nil where
    /// it would go on. Reads files: not on the loop.
    ///
    /// `problems` knows the options of the libpq that otpd was built for. This finds what a newer one refuses.
    public func refusal() throws(PostgresError) -> InvalidOption? {
        var values = try Conninfo(conninfo).values
        let effective = Conninfo.defaults().merging(values) { _, said in said }
        if let reason = Self.whyRefused(key: effective["sslkey"], of: effective["sslcert"], effective["sslmode"]) {
            return InvalidOption(
                variable: values["sslkey"] == nil ? "PGSSLKEY" : ConninfoOptions.variable, reason: reason)
        }
        // An address that comes from elsewhere can't be taken away, and would be connected to.
        guard (effective["hostaddr"] ?? "").isEmpty || values["hostaddr"] != nil else { return nil }
        let nowhere = "/nonexistent/otpd-looks-at-options"
        values["hostaddr"] = nil
        values["host"] = nowhere
        values["port"] = "5432"
        values["options"] = nil
        guard let pointer = unsafe startConnecting(values) else { return nil }
        defer { unsafe PQfinish(pointer) }
        guard unsafe PQstatus(pointer) == CONNECTION_BAD, let text = unsafe PQerrorMessage(pointer) else { return nil }
        let words = unsafe String(cString: text)
        // It got as far as the socket.
        if words.contains(nowhere) { return nil }
        return InvalidOption(
            variable: ConninfoOptions.variable,
            reason: "or one of libpq's PG* variables can't be used: \(withoutQuotations(trimmed(words))); correct it")
    }

    /// libpq refuses a private key that others may read.
    private static func whyRefused(key: String?, of certificate: String?, _ mode: String?) -> String? {
        guard let key, !key.isEmpty, !key.contains(":"), let certificate, !certificate.isEmpty, mode != "disable"
        else { return nil }
        var status = stat()
        guard unsafe stat(key, &status) == 0 else { return nil }
        let forbidden = status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO
        guard status.st_mode & forbidden != 0 else { return nil }
        return "names a private key (sslkey) that others may read; chmod 0600 it, or 0640 where root owns it"
    }
}

/// A `PGconn` that begins to connect with these values alone; the caller's to finish. Nil: out of memory.
func startConnecting(_ values: [String: String]) -> OpaquePointer? {
    // Copied by libpq before it returns.
    let pairs = unsafe values.map { unsafe (strdup($0.key), strdup($0.value)) }
    defer {
        for index in unsafe pairs.indices {
            unsafe free(pairs[index].0)
            unsafe free(pairs[index].1)
        }
    }
    let keywords = unsafe pairs.map { unsafe UnsafePointer<CChar>($0.0) } + [nil]
    let texts = unsafe pairs.map { unsafe UnsafePointer<CChar>($0.1) } + [nil]
    return unsafe PQconnectStartParams(keywords, texts, 0)
}
