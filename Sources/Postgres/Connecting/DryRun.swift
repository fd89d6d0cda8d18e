internal import CLibpq
internal import Glibc

extension ConnectionSettings {
    /// libpq's objection to all its options together, its service file included, before it would open a socket. Nil if
    /// libpq would connect. Reads files, so not for the loop.
    ///
    /// `problems` knows the options of the libpq that otpd was built for. This finds values that a newer libpq refuses.
    public func refusal() throws(PostgresError) -> InvalidOption? {
        var values = try Conninfo(conninfo).values
        let effective = Conninfo.defaults().merging(values) { _, said in said }
        if let reason = Self.whyRefused(key: effective["sslkey"], of: effective["sslcert"], effective["sslmode"]) {
            return InvalidOption(
                variable: values["sslkey"] == nil ? "PGSSLKEY" : ConninfoOptions.variable, reason: reason)
        }
        // An address from another source cannot be removed, so libpq would connect to it.
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
        // libpq got as far as the socket, so it accepted all options.
        if words.contains(nowhere) { return nil }
        return InvalidOption(
            variable: ConninfoOptions.variable,
            reason: "or a PG* variable of libpq's is invalid: \(withoutQuotations(trimmed(words))). Correct it.")
    }

    /// libpq refuses a private key that other users may read.
    private static func whyRefused(key: String?, of certificate: String?, _ mode: String?) -> String? {
        guard let key, !key.isEmpty, !key.contains(":"), let certificate, !certificate.isEmpty, mode != "disable"
        else { return nil }
        var status = stat()
        guard unsafe stat(key, &status) == 0 else { return nil }
        let forbidden = status.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO
        guard status.st_mode & forbidden != 0 else { return nil }
        return "names a private key (sslkey) that others may read. Run chmod 0600 on it, or 0640 if root owns it."
    }
}

/// A `PGconn` that begins to connect with these values alone. The caller must finish it. Nil without memory.
func startConnecting(_ values: [String: String]) -> OpaquePointer? {
    // libpq copies them before it returns.
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
