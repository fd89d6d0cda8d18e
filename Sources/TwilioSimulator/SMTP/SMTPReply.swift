/// A reply of the sink: a code, and a line of text or several.
struct SMTPReply: Equatable {
    var code: Int
    var lines: [String]

    init(_ code: Int, _ lines: String...) { self.init(code, lines: lines) }

    init(_ code: Int, lines: [String]) {
        self.code = code
        self.lines = lines
    }

    /// As it goes over the wire.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for (position, line) in lines.enumerated() {
            bytes.append(text: "\(code)\(position == lines.count - 1 ? " " : "-")\(line)\r\n")
        }
        return bytes
    }
}
