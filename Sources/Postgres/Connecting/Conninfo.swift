internal import CLibpq

/// A connection string, parsed by libpq itself.
struct Conninfo: Equatable, CustomStringConvertible {
    /// The given values alone, by libpq's keyword.
    var values: [String: String]

    /// - Throws: `.settings` without any part of the string that could be a password.
    init(_ conninfo: String) throws(PostgresError) {
        let problem: InvalidOption?
        do throws(InvalidOption) {
            values = try Self.parse(conninfo)
            let rules = OptionRules(
                values: values.filter { !$0.value.isEmpty }.mapValues { ($0, ConninfoOptions.variable) })
            problem = rules.problems().first
        } catch {
            values = [:]
            problem = error
        }
        if let problem { throw .settings("\(problem.variable) \(problem.reason)") }
    }

    /// The parts of the string, if they are certain. Their values are not checked.
    static func parse(_ conninfo: String) throws(InvalidOption) -> [String: String] {
        func refuse(_ reason: String) -> InvalidOption {
            InvalidOption(variable: ConninfoOptions.variable, reason: reason)
        }
        if conninfo.isEmpty { return [:] }
        guard !conninfo.utf8.contains(0) else { throw refuse("contains a NUL. Set it again.") }
        if let reason = AddressForm.refusal(conninfo) { throw refuse(reason) }
        var message: UnsafeMutablePointer<CChar>?
        let options = unsafe PQconninfoParse(conninfo, &message)
        defer {
            unsafe PQconninfoFree(options)
            unsafe PQfreemem(message)
        }
        guard let options = unsafe options else {
            let words = unsafe message.map { unsafe String(cString: $0) } ?? "out of memory"
            throw refuse("cannot be parsed: \(withoutQuotations(trimmed(words))). \(AddressForm.encoding)")
        }
        let values = unsafe read(options)
        if let reason = AddressForm.refusal(conninfo, values) { throw refuse(reason) }
        if values["service"] != nil {
            throw refuse("names a service. Set PGSERVICE instead, and leave DATABASE_URL empty.")
        }
        return values
    }

    /// The values that libpq would add from the environment, the service file and its own defaults. Reads files, so not
    /// for the loop.
    static func defaults() -> [String: String] {
        guard let options = unsafe PQconndefaults() else { return [:] }
        defer { unsafe PQconninfoFree(options) }
        return unsafe read(options)
    }

    /// The values that an open connection uses, from all of libpq's sources.
    static func effective(_ connection: OpaquePointer) -> [String: String] {
        guard let options = unsafe PQconninfo(connection) else { return [:] }
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

/// `text` without its part between double quotes, because libpq quotes a string that it cannot parse. Removes
/// everything from the first to the last quote, because that string may hold quotes itself. A label of libpq's own in
/// front of it stays.
func withoutQuotations(_ text: String) -> String {
    var bytes = Array(text.utf8)[...]
    var kept = ""
    for words in ["missing \"=\" after ", "extra key/value separator \"=\" ", "missing key/value separator \"=\" "]
    where bytes.starts(with: words.utf8) {
        kept = words
        bytes = bytes.dropFirst(words.utf8.count)
    }
    // Searches bytes. A `Character` would merge a quote with a combining mark after it.
    guard let first = bytes.firstIndex(of: UInt8(ascii: "\"")), let last = bytes.lastIndex(of: UInt8(ascii: "\""))
    else {
        return text
    }
    let (before, after) = (bytes[..<first], bytes[(last + 1)...])
    return kept + String(decoding: before, as: UTF8.self) + "\"…\"" + String(decoding: after, as: UTF8.self)
}

/// `-c name=value` for each option, after `existing`, escaped as libpq's `options` requires.
func sessionOptions(_ existing: String?, adding options: [(name: String, value: String)]) -> String? {
    var parts: [String] = []
    if let existing, !existing.isEmpty { parts.append(existing) }
    for option in options {
        var escaped = ""
        for character in option.value.unicodeScalars {
            // pg_split_opts in postinit.c: white space separates options, and a backslash escapes it.
            if character == "\\" || character.properties.isWhitespace { escaped.append("\\") }
            escaped.unicodeScalars.append(character)
        }
        parts.append("-c \(option.name)=\(escaped)")
    }
    return parts.isEmpty ? nil : parts.joined(separator: " ")
}
