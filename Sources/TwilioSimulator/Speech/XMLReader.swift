/// A part of an XML document.
enum XMLPart: Equatable {
    case start(name: String, attributes: [String: String])
    case end(name: String)
    case text(String)
}

/// Reads the small part of XML that TwiML needs: elements, attributes, text, entities, CDATA, comments.
///
/// It checks that elements are well nested. It knows no document types and no namespaces.
struct XMLReader {
    /// Why a text is not XML.
    struct Malformed: Error, Equatable {
        var reason: String
    }

    private var rest: Substring
    private var open: [String] = []
    private var parts: [XMLPart] = []

    private init(_ text: String) { rest = text[...] }

    /// The parts of a document in order.
    static func parts(of text: String) throws(Malformed) -> [XMLPart] {
        var reader = XMLReader(text)
        try reader.read()
        return reader.parts
    }

    private mutating func read() throws(Malformed) {
        while let mark = rest.firstIndex(of: "<") {
            try append(text: rest[..<mark])
            rest = rest[rest.index(after: mark)...]
            if rest.hasPrefix("!--") {
                _ = try take(through: "-->")
            } else if rest.hasPrefix("![CDATA[") {
                parts.append(.text(String(try take(through: "]]>").dropFirst("![CDATA[".count))))
            } else if rest.hasPrefix("?") {
                _ = try take(through: "?>")
            } else if rest.hasPrefix("!") {
                throw Malformed(reason: "a document type")
            } else {
                try readTag(try take(through: ">"))
            }
        }
        try append(text: rest)
        guard open.isEmpty else { throw Malformed(reason: "<\(open[open.count - 1])> has no end") }
    }

    private mutating func readTag(_ tag: Substring) throws(Malformed) {
        if tag.hasPrefix("/") {
            let name = String(tag.dropFirst()).trimmed
            guard open.popLast() == name else { throw Malformed(reason: "</\(name)> has no start") }
            return parts.append(.end(name: name))
        }
        let isEmpty = tag.hasSuffix("/")
        let inner = isEmpty ? tag.dropLast() : tag
        let name = String(inner.prefix { !$0.isWhitespace })
        guard name.first?.isLetter == true, !name.contains("<") else { throw Malformed(reason: "<\(tag)>") }
        let attributes = try Self.attributes(inner.dropFirst(name.count))
        parts.append(.start(name: name, attributes: attributes))
        if isEmpty { parts.append(.end(name: name)) } else { open.append(name) }
    }

    private static func attributes(_ text: Substring) throws(Malformed) -> [String: String] {
        var rest = text.drop { $0.isWhitespace }
        var attributes: [String: String] = [:]
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: "="), case let name = String(rest[..<equals]).trimmed, !name.isEmpty
            else { throw Malformed(reason: "an attribute without a value") }
            rest = rest[rest.index(after: equals)...].drop { $0.isWhitespace }
            guard let quote = rest.first, quote == "\"" || quote == "'",
                let end = rest.dropFirst().firstIndex(of: quote)
            else { throw Malformed(reason: "the value of \(name) has no quotes") }
            guard attributes[name] == nil else { throw Malformed(reason: "two attributes \(name)") }
            attributes[name] = try unescaped(rest.dropFirst()[..<end])
            rest = rest[rest.index(after: end)...].drop { $0.isWhitespace }
        }
        return attributes
    }

    private mutating func append(text: Substring) throws(Malformed) {
        if !text.isEmpty { parts.append(.text(try Self.unescaped(text))) }
    }

    private static func unescaped(_ text: Substring) throws(Malformed) -> String {
        var rest = text
        var result = ""
        while let mark = rest.firstIndex(of: "&") {
            guard let end = rest[mark...].firstIndex(of: ";") else { throw Malformed(reason: "a bare &") }
            let name = rest[rest.index(after: mark)..<end]
            guard let character = entity(name) else { throw Malformed(reason: "unknown entity &\(name);") }
            result += rest[..<mark] + character
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private static func entity(_ name: Substring) -> String? {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let number = name.hasPrefix("#x") ? UInt32(name.dropFirst(2), radix: 16) : UInt32(name.dropFirst())
            return number.flatMap(Unicode.Scalar.init).map { String($0) }
        }
    }

    /// The text before `end`, which goes too.
    private mutating func take(through end: String) throws(Malformed) -> Substring {
        var position = rest.startIndex
        while position < rest.endIndex {
            if rest[position...].hasPrefix(end) {
                defer { rest = rest[rest.index(position, offsetBy: end.count)...] }
                return rest[..<position]
            }
            position = rest.index(after: position)
        }
        throw Malformed(reason: "\(end) is missing")
    }
}

extension String {
    /// Without whitespace at both ends.
    var trimmed: String {
        var text = self[...].drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
