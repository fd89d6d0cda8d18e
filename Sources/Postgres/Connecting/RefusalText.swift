/// What libpq says of an attempt to connect that failed, taken apart.
///
/// libpq gives no fields of an error that the server sent before the session began, only their text. With its verbosity at
/// `PQERRORS_VERBOSE` the SQLSTATE stands in that text: `FATAL:  28P01: password authentication failed …`. The words around
/// it are in the server's language.
struct RefusalText: Equatable {
    /// Without SQLSTATEs and places in PostgreSQL's source, on one line.
    var message: String
    /// The server's code that tells most; nil where libpq itself speaks, or a server older than SQLSTATEs.
    var sqlstate: String?

    init(_ text: String) {
        var (kept, codes): ([Substring], [String]) = ([], [])
        for line in text.split(whereSeparator: \.isNewline) {
            // libpq's own label, and so never translated.
            if line.hasPrefix("LOCATION:  ") { continue }
            guard let (code, range) = Self.code(line) else {
                kept.append(line)
                continue
            }
            codes.append(code)
            kept.append(line[..<range.lowerBound] + line[range.upperBound...])
        }
        message = trimmed(kept.joined(separator: "\n"))
        // With sslmode=prefer libpq comes twice, and hears the second time that it may not come so.
        sqlstate = codes.first { $0 == "28P01" } ?? codes.last
    }

    /// Behind the severity, whatever its language: two spaces, five characters, a colon.
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
