/// One conversation with a client, without its socket: a line comes in, an event goes out. It is a value, so that the
/// owner can drop the effect of a line that a fault hit.
struct SMTPSession {
    /// A mail that was taken completely.
    struct Envelope: Equatable {
        var from: String
        var to: [String]
        var content: [UInt8]
    }

    /// The next thing to do.
    struct Event: Equatable {
        enum Effect: Equatable {
            case none, startTLS, close
            case deliver(Envelope)
        }

        /// The step that the line was; nil for commands without faults.
        var step: MailStep?
        var reply: SMTPReply
        var effect = Effect.none
        /// The first recipient, if it is known.
        var to: String?
    }

    private enum State: Equatable {
        case commands
        case authPlain
        case authLogin(user: String?)
        case content
    }

    static let maxRecipients = 100
    /// The line that ends a mail.
    static let contentEnd = [UInt8(ascii: ".")]

    private let rules: SMTPRules
    private var state = State.commands
    private var isGreeted = false
    private(set) var isSecure: Bool
    private(set) var isAuthenticated = false
    private var usesUTF8 = false
    private var from: String?
    private var to: [String] = []
    private var content: [UInt8] = []
    private var isTooLarge = false

    init(_ rules: SMTPRules, isSecure: Bool) {
        self.rules = rules
        self.isSecure = isSecure
    }

    static let greeting = SMTPReply(220, "twilio-simulator ESMTP sink")

    /// Whether lines are parts of a mail now.
    var isInContent: Bool { state == .content }
    var recipient: String? { to.first }

    /// Takes one line, without its end. Nil while a mail arrives.
    mutating func receive(_ line: [UInt8]) -> Event? {
        switch state {
        case .commands: return command(line)
        case .content: return contentLine(line)
        case .authPlain:
            state = .commands
            return authenticatePlain(line)
        case .authLogin(let user): return authenticateLogin(line, user: user)
        }
    }

    /// Forgets the mail under way. TLS and the user stay.
    mutating func resetMail() {
        state = .commands
        (from, to, content, isTooLarge, usesUTF8) = (nil, [], [], false, false)
    }

    /// After the handshake, the client begins again.
    mutating func becameSecure() {
        self = SMTPSession(rules, isSecure: true)
    }

    private mutating func command(_ line: [UInt8]) -> Event {
        switch SMTPCommand(line) {
        case .hello(let isExtended, let name): return hello(name, isExtended)
        case .startTLS: return startTLS()
        case .auth(let mechanism, let response): return auth(mechanism, response)
        case .mail(let path, let parameters): return mail(path, parameters)
        case .recipient(let path, _): return recipient(path)
        case .data: return data()
        case .reset:
            resetMail()
            return Event(reply: SMTPReply(250, "2.0.0 OK"))
        case .noop: return Event(reply: SMTPReply(250, "2.0.0 OK"))
        case .quit: return Event(reply: SMTPReply(221, "2.0.0 Bye"), effect: .close)
        case .malformed: return Event(reply: SMTPReply(501, "5.5.4 Syntax error in parameters"))
        case .unknown: return Event(reply: SMTPReply(500, "5.5.1 Command not recognized"))
        }
    }

    private mutating func hello(_ name: String, _ isExtended: Bool) -> Event {
        resetMail()
        isGreeted = true
        var lines = ["twilio-simulator greets \(name)"]
        if isExtended {
            lines += ["PIPELINING", "SIZE \(rules.maxBytes)", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
            if rules.offersTLS, !isSecure { lines.append("STARTTLS") }
            if mayAuthenticate { lines.append("AUTH PLAIN LOGIN") }
        }
        return Event(step: .ehlo, reply: SMTPReply(250, lines: lines))
    }

    private var mayAuthenticate: Bool { isSecure || !rules.offersTLS }

    private func startTLS() -> Event {
        guard rules.offersTLS, !isSecure else {
            return Event(step: .starttls, reply: SMTPReply(502, "5.5.1 TLS is not available"))
        }
        return Event(step: .starttls, reply: SMTPReply(220, "2.0.0 Ready to start TLS"), effect: .startTLS)
    }

    private mutating func mail(_ path: SMTPPath, _ parameters: [String: String]) -> Event {
        func refused(_ code: Int, _ text: String) -> Event { Event(step: .mail, reply: SMTPReply(code, text)) }
        guard isGreeted else { return refused(503, "5.5.1 Send EHLO first") }
        guard isSecure || !rules.offersTLS else { return refused(530, "5.7.0 Must issue a STARTTLS command first") }
        guard isAuthenticated || rules.user == nil else { return refused(530, "5.7.0 Authentication required") }
        guard from == nil else { return refused(503, "5.5.1 Sender already given") }
        for (name, value) in parameters {
            switch name {
            case "SIZE":
                guard let size = Int(value), size >= 0 else { return refused(501, "5.5.4 Bad SIZE") }
                guard size <= rules.maxBytes else { return refused(552, "5.3.4 Message too big") }
            case "BODY":
                guard ["7BIT", "8BITMIME"].contains(value.uppercased()) else { return refused(501, "5.5.4 Bad BODY") }
            case "SMTPUTF8", "AUTH": break
            default: return refused(555, "5.5.4 Unsupported parameter \(name)")
            }
        }
        usesUTF8 = parameters["SMTPUTF8"] != nil
        guard path.isASCII || usesUTF8 else { return refused(553, "5.6.7 Address needs SMTPUTF8") }
        from = path.address
        return Event(step: .mail, reply: SMTPReply(250, "2.1.0 OK"))
    }

    private mutating func recipient(_ path: SMTPPath) -> Event {
        func refused(_ code: Int, _ text: String) -> Event {
            Event(step: .rcpt, reply: SMTPReply(code, text), to: path.address)
        }
        guard from != nil else { return refused(503, "5.5.1 Send MAIL first") }
        guard !path.address.isEmpty else { return refused(501, "5.1.3 Bad recipient address") }
        guard path.isASCII || usesUTF8 else { return refused(553, "5.6.7 Address needs SMTPUTF8") }
        guard to.count < Self.maxRecipients else { return refused(452, "4.5.3 Too many recipients") }
        to.append(path.address)
        return Event(step: .rcpt, reply: SMTPReply(250, "2.1.5 OK"), to: path.address)
    }

    private mutating func data() -> Event {
        guard !to.isEmpty else { return Event(step: .data, reply: SMTPReply(503, "5.5.1 Send RCPT first")) }
        state = .content
        return Event(step: .data, reply: SMTPReply(354, "End with <CR><LF>.<CR><LF>"), to: recipient)
    }

    private mutating func contentLine(_ line: [UInt8]) -> Event? {
        if line == Self.contentEnd { return contentEnded() }
        let unstuffed = line.first == UInt8(ascii: ".") ? line.dropFirst() : line[...]
        if content.count + unstuffed.count + 2 > rules.maxBytes { isTooLarge = true }
        guard !isTooLarge else { return nil }
        content.append(contentsOf: unstuffed)
        content.append(text: "\r\n")
        return nil
    }

    private mutating func contentEnded() -> Event {
        defer { resetMail() }
        guard !isTooLarge else {
            return Event(step: .final, reply: SMTPReply(552, "5.3.4 Message too big"), to: recipient)
        }
        return Event(
            step: .final, reply: SMTPReply(250, "2.0.0 OK"),
            effect: .deliver(Envelope(from: from ?? "", to: to, content: content)), to: recipient)
    }
}

// Signing in.
extension SMTPSession {
    private mutating func auth(_ mechanism: String, _ response: String?) -> Event {
        func refused(_ code: Int, _ text: String) -> Event { Event(step: .auth, reply: SMTPReply(code, text)) }
        guard isGreeted, from == nil, !isAuthenticated else { return refused(503, "5.5.1 AUTH not possible now") }
        guard mayAuthenticate else { return refused(538, "5.7.11 Encryption required") }
        switch mechanism {
        case "PLAIN":
            if let response { return authenticatePlain(Array(response.utf8)) }
            state = .authPlain
            return Event(reply: SMTPReply(334, ""))
        case "LOGIN":
            state = .authLogin(user: nil)
            if let response { return authenticateLogin(Array(response.utf8), user: nil) }
            return Event(reply: SMTPReply(334, "VXNlcm5hbWU6"))
        default: return refused(504, "5.5.4 Unknown mechanism")
        }
    }

    private mutating func authenticatePlain(_ line: [UInt8]) -> Event {
        if line == [UInt8(ascii: "*")] { return Event(step: .auth, reply: SMTPReply(501, "5.7.0 Canceled")) }
        let parts = MailCodec.base64(line).split(separator: 0, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return Event(step: .auth, reply: SMTPReply(501, "5.5.2 Cannot decode")) }
        return authenticated(user: String(utf8: parts[1]), password: String(utf8: parts[2]))
    }

    private mutating func authenticateLogin(_ line: [UInt8], user: String?) -> Event {
        guard line != [UInt8(ascii: "*")] else {
            state = .commands
            return Event(step: .auth, reply: SMTPReply(501, "5.7.0 Canceled"))
        }
        let answer = String(utf8: MailCodec.base64(line))
        guard let user else {
            state = .authLogin(user: answer)
            return Event(reply: SMTPReply(334, "UGFzc3dvcmQ6"))
        }
        state = .commands
        return authenticated(user: user, password: answer)
    }

    private mutating func authenticated(user: String, password: String) -> Event {
        guard rules.accepts(user: user, password: password) else {
            return Event(step: .auth, reply: SMTPReply(535, "5.7.8 Authentication credentials invalid"))
        }
        isAuthenticated = true
        return Event(step: .auth, reply: SMTPReply(235, "2.7.0 Authentication successful"))
    }
}
