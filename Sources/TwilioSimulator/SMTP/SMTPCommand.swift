/// A line of a client, read as a command (RFC 5321). Verbs have no case.
enum SMTPCommand: Equatable {
    case hello(extended: Bool, name: String)
    case startTLS
    /// `AUTH` with its mechanism, and the first answer if it comes at once.
    case auth(mechanism: String, response: String?)
    case mail(SMTPPath, parameters: [String: String])
    case recipient(SMTPPath, parameters: [String: String])
    case data, reset, noop, quit
    /// A command that the sink knows, with an argument that it cannot read.
    case malformed
    case unknown

    init(_ line: [UInt8]) {
        let text = String(utf8: line)
        let verb = text.prefix { $0 != " " }.uppercased()
        let argument = String(text.dropFirst(verb.count)).trimmed
        switch verb {
        case "EHLO", "HELO": self = argument.isEmpty ? .malformed : .hello(extended: verb == "EHLO", name: argument)
        case "STARTTLS": self = argument.isEmpty ? .startTLS : .malformed
        case "AUTH":
            let words = argument.split(separator: " ").map(String.init)
            self =
                (1...2).contains(words.count)
                ? .auth(mechanism: words[0].uppercased(), response: words.count == 2 ? words[1] : nil) : .malformed
        case "MAIL": self = Self.path(argument, "FROM:").map { .mail($0, parameters: $1) } ?? .malformed
        case "RCPT": self = Self.path(argument, "TO:").map { .recipient($0, parameters: $1) } ?? .malformed
        case "DATA": self = argument.isEmpty ? .data : .malformed
        case "RSET": self = .reset
        case "NOOP": self = .noop
        case "QUIT": self = .quit
        default: self = .unknown
        }
    }

    /// `FROM:<a@b> SIZE=1`: the address, and the parameters by their names in upper case.
    private static func path(_ argument: String, _ word: String) -> (SMTPPath, [String: String])? {
        guard argument.uppercased().hasPrefix(word) else { return nil }
        let rest = String(argument.dropFirst(word.count)).trimmed
        guard rest.first == "<", let end = rest.firstIndex(of: ">") else { return nil }
        var parameters: [String: String] = [:]
        for part in rest[rest.index(after: end)...].split(separator: " ") {
            let name = part.prefix { $0 != "=" }
            parameters[name.uppercased()] = String(part.dropFirst(name.count + 1))
        }
        guard let path = SMTPPath(String(rest[rest.index(after: rest.startIndex)..<end])) else { return nil }
        return (path, parameters)
    }
}

/// An address of an envelope. The empty one is only for senders.
struct SMTPPath: Equatable {
    let address: String

    /// Nil if it is neither empty nor `local@domain`.
    init?(_ address: String) {
        let at = address.lastIndex(of: "@")
        let isAddress = at.map { $0 != address.startIndex && address.index(after: $0) != address.endIndex } ?? false
        guard address.isEmpty || isAddress, address.utf8.count <= 254,
            !address.unicodeScalars.contains(where: {
                $0.value <= 0x20 || $0.value == 0x7F || "<>".contains(Character($0))
            })
        else { return nil }
        self.address = address
    }

    var isASCII: Bool { address.utf8.allSatisfy { $0 < 0x80 } }
}
