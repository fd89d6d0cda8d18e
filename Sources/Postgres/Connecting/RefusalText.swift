/// The parts of libpq's message for a failed attempt to connect.
///
/// For an error that the server sent before the session began, libpq gives only a text. With its verbosity at
/// `PQERRORS_VERBOSE` that text holds the SQLSTATE: `FATAL:  28P01: password authentication failed …`. The rest is in
/// the server's language.
struct RefusalText: Equatable {
    /// The message on one line, without SQLSTATEs and places in PostgreSQL's source.
    var message: String
    /// The most telling SQLSTATE. Nil if the message is libpq's own, or the server is older than SQLSTATEs.
    var sqlstate: String?

    init(_ text: String) {
        var (kept, codes): ([Substring], [String]) = ([], [])
        for line in text.split(whereSeparator: \.isNewline) {
            // libpq's own label, which is never translated.
            if line.hasPrefix("LOCATION:  ") { continue }
            guard let (code, range) = Self.code(line) else {
                kept.append(line)
                continue
            }
            codes.append(code)
            kept.append(line[..<range.lowerBound] + line[range.upperBound...])
        }
        message = trimmed(kept.joined(separator: "\n"))
        // With sslmode=prefer libpq tries twice, and the second refusal is about the missing TLS.
        sqlstate = codes.first { $0 == "28P01" } ?? codes.last
    }

    /// The code after the severity, in any language: two spaces, five characters, a colon.
    private static func code(_ line: Substring) -> (String, Range<Substring.Index>)? {
        guard let start = line.firstRange(of: ":  ")?.upperBound else { return nil }
        let rest = line[start...]
        let code = rest.prefix(5)
        guard code.utf8.count == 5,
            code.unicodeScalars.allSatisfy({ ("0"..."9").contains($0) || ("A"..."Z").contains($0) })
        else { return nil }
        let after = rest.dropFirst(5)
        guard after.hasPrefix(": ") || after.isEmpty || after == ":" else { return nil }
        return (String(code), start..<after.dropFirst(2).startIndex)
    }
}
