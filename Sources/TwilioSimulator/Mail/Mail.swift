/// One mail of the sink.
struct Mail: Equatable {
    var sequence: Int
    var receivedAt: Microseconds
    /// The envelope's sender and recipients.
    var from: String
    var to: [String]
    var content: MailContent
}

/// The parts of a mail that the inbox shows.
struct MailContent: Equatable {
    var subject = ""
    /// Without its angle brackets; empty if the mail has none.
    var messageID = ""
    /// The first plain text.
    var text = ""
    /// The first HTML; nil if there is none.
    var html: String?

    private static let maxDepth = 8

    /// Reads a mail. Everything that is not readable is left out, because a sink takes any mail.
    init(_ mail: [UInt8]) {
        let (headers, body) = MailHeaders.split(mail[...])
        subject = MailCodec.header(headers["subject"] ?? "")
        messageID = String((headers["message-id"] ?? "").drop { $0 == "<" }.prefix { $0 != ">" })
        var found = (text: String?.none, html: String?.none)
        Self.read(headers, body, depth: 0, into: &found)
        text = found.text ?? ""
        html = found.html
    }

    private static func read(
        _ headers: MailHeaders, _ body: ArraySlice<UInt8>, depth: Int, into found: inout (text: String?, html: String?)
    ) {
        let (type, parameters) = headers.parameters("content-type")
        if type.hasPrefix("multipart/") {
            guard let boundary = parameters["boundary"], !boundary.isEmpty, depth < maxDepth else { return }
            for part in parts(of: body, boundary: boundary) {
                let (headers, body) = MailHeaders.split(part)
                read(headers, body, depth: depth + 1, into: &found)
            }
            return
        }
        guard type.isEmpty || type == "text/plain" || type == "text/html" else { return }
        let encoding = headers.parameters("content-transfer-encoding").value
        let lines = String(utf8: MailCodec.decode(body, encoding: encoding)).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        var text = lines.joined(separator: "\n")
        while text.last?.isNewline == true { text.removeLast() }
        if type == "text/html" { found.html = found.html ?? text } else { found.text = found.text ?? text }
    }

    /// The parts between the boundary's lines.
    private static func parts(of body: ArraySlice<UInt8>, boundary: String) -> [ArraySlice<UInt8>] {
        let mark = Array("--\(boundary)".utf8)
        var parts: [ArraySlice<UInt8>] = []
        var start: Int?
        var line = body.startIndex
        while line < body.endIndex {
            let end = body[line...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? body.endIndex
            if body[line..<end].starts(with: mark) {
                if let start { parts.append(body[start..<max(start, line - 2)]) }
                let isLast = body[line..<end].dropFirst(mark.count).starts(with: "--".utf8)
                start = isLast ? nil : end
                if isLast { break }
            }
            line = end
        }
        return parts
    }
}
