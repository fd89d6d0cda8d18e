/// The headers of a mail or of one of its parts (RFC 5322), unfolded.
struct MailHeaders: Equatable {
    private var fields: [(name: String, value: String)] = []

    /// Splits a mail into its headers and its body.
    static func split(_ content: ArraySlice<UInt8>) -> (headers: MailHeaders, body: ArraySlice<UInt8>) {
        var headers = MailHeaders()
        var rest = content
        while !rest.isEmpty {
            let line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest.dropFirst(line.count + 1)
            let text = String(utf8: line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
            if text.isEmpty { break }
            if text.first == " " || text.first == "\t", !headers.fields.isEmpty {
                headers.fields[headers.fields.count - 1].value += " " + text.trimmed
            } else if let colon = text.firstIndex(of: ":") {
                headers.fields.append(
                    (String(text[..<colon]).trimmed.lowercased(), String(text[text.index(after: colon)...]).trimmed))
            }
        }
        return (headers, rest)
    }

    /// The first header of that name, as it is written; `name` is in lower case.
    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    /// A value and its parameters: `multipart/alternative` and `boundary` of a Content-Type.
    func parameters(_ name: String) -> (value: String, parameters: [String: String]) {
        let parts = (self[name] ?? "").split(separator: ";").map { String($0).trimmed }
        var parameters: [String: String] = [:]
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: "=") else { continue }
            let value = String(part[part.index(after: equals)...]).trimmed
            let isQuoted = value.count >= 2 && value.first == "\"" && value.last == "\""
            parameters[String(part[..<equals]).trimmed.lowercased()] =
                isQuoted ? String(value.dropFirst().dropLast()) : value
        }
        return (parts.first?.lowercased() ?? "", parameters)
    }

    static func == (left: MailHeaders, right: MailHeaders) -> Bool {
        left.fields.elementsEqual(right.fields) { $0 == $1 }
    }
}
