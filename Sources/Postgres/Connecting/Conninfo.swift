internal import CLibpq

/// A connection string taken apart by libpq itself.
struct Conninfo: Equatable, CustomStringConvertible {
    /// Only what was said; by libpq's keyword.
    var values: [String: String]

    /// - Throws: `.settings` without any part of the string that could be a password.
    init(_ conninfo: String) throws(PostgresError) {
        guard !conninfo.utf8.contains(0) else { throw .settings("DATABASE_URL contains a NUL") }
        var message: UnsafeMutablePointer<CChar>?
        let options = unsafe PQconninfoParse(conninfo, &message)
        defer {
            unsafe PQconninfoFree(options)
            unsafe PQfreemem(message)
        }
        guard let options = unsafe options else {
            let words = unsafe message.map { unsafe String(cString: $0) } ?? "out of memory"
            throw .settings(
                "DATABASE_URL can't be read: \(withoutQuotations(trimmed(words))). See libpq's manual, 34.1.1.")
        }
        values = unsafe Self.read(options)
        if values["service"] != nil {
            throw .settings("DATABASE_URL names a service; set PGSERVICE instead, and leave DATABASE_URL empty")
        }
    }

    /// What libpq would add from the environment, the service file and its own defaults. Reads files: not on the loop.
    static func defaults() -> [String: String] {
        guard let options = unsafe PQconndefaults() else { return [:] }
        defer { unsafe PQconninfoFree(options) }
        return unsafe read(options)
    }

    private static func read(_ options: UnsafeMutablePointer<PQconninfoOption>) -> [String: String] {
        var values: [String: String] = [:]
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                unsafe values[String(cString: keyword)] = String(cString: value)
            }
            unsafe option += 1
        }
        return values
    }

    var description: String {
        let keys = ["host", "hostaddr", "port", "dbname", "user", "sslmode", "target_session_attrs"]
        let said = keys.compactMap { key in values[key].map { "\(key)=\($0)" } }
        return said.isEmpty ? "the database of the PG* environment" : said.joined(separator: " ")
    }
}

/// `text` with what stands between double quotes left out: libpq quotes the string it can't read. From the first to the
/// last of them, since that string may hold quotes itself; a sign of libpq's own in front of it stays.
func withoutQuotations(_ text: String) -> String {
    var bytes = Array(text.utf8)[...]
    var kept = ""
    for words in ["missing \"=\" after ", "extra key/value separator \"=\" ", "missing key/value separator \"=\" "]
    where bytes.starts(with: words.utf8) {
        kept = words
        bytes = bytes.dropFirst(words.utf8.count)
    }
    // By bytes: to a `Character`, a quote that a combining mark follows is none.
    guard let first = bytes.firstIndex(of: UInt8(ascii: "\"")), let last = bytes.lastIndex(of: UInt8(ascii: "\""))
    else {
        return text
    }
    let (before, after) = (bytes[..<first], bytes[(last + 1)...])
    return kept + String(decoding: before, as: UTF8.self) + "\"…\"" + String(decoding: after, as: UTF8.self)
}

/// `-c name=value` for each option, behind `existing`; escaped as libpq's `options` wants it.
func sessionOptions(_ existing: String?, adding options: [(name: String, value: String)]) -> String? {
    var parts: [String] = []
    if let existing, !existing.isEmpty { parts.append(existing) }
    for option in options {
        var escaped = ""
        for character in option.value.unicodeScalars {
            // pg_split_opts in postinit.c: white space separates, a backslash protects.
            if character == "\\" || character.properties.isWhitespace { escaped.append("\\") }
            escaped.unicodeScalars.append(character)
        }
        parts.append("-c \(option.name)=\(escaped)")
    }
    return parts.isEmpty ? nil : parts.joined(separator: " ")
}
