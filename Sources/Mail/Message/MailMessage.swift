/// A mail with a plain text and the same text as HTML. Writes its head and body for SMTP.
///
/// Subject and text are bytes, because they hold a code, and they go into the caller's buffer alone. The mail is ASCII
/// with short lines, except for an address that needs SMTPUTF8. So no server needs to convert it.
public struct MailMessage: Sendable {
    public var sender: MailSender
    public var recipient: MailAddress
    public var messageID: MailMessageID
    /// The time of the mail, in seconds since 1970.
    public var date: Int64
    /// The language of the text, such as `ar` or `pt_BR`.
    public var locale: String

    public init(
        from sender: MailSender, to recipient: MailAddress, messageID: MailMessageID, date: Int64, locale: String
    ) {
        self.sender = sender
        self.recipient = recipient
        self.messageID = messageID
        self.date = date
        self.locale = locale
    }

    /// It occurs in no part: the "=" of quoted-printable is followed by a digit or a line break.
    private static let boundary: StaticString = "=_otpd"

    /// Appends the whole mail. `subject` and `text` are UTF-8, and may have any line breaks.
    ///
    /// Reserves enough space first, so that the growing buffer leaves no copy of a code behind.
    public func write(subject: Span<UInt8>, text: Span<UInt8>, into buffer: inout [UInt8]) {
        // A byte takes 3 in the text. In HTML it takes at most 20: "&quot;" has 6, a paragraph's tags and their line
        // break 9. Soft line breaks add a 25th.
        buffer.reserveCapacity(buffer.count + 2048 + 4 * subject.count + 25 * text.count)
        writeHead(subject, into: &buffer)
        let language = Language(locale)
        beginPart("text/plain", into: &buffer)
        PlainPart.write(text, into: &buffer)
        beginPart("text/html", into: &buffer)
        HTMLPart.write(text, language, into: &buffer)
        Self.append("--", to: &buffer)
        Self.append(Self.boundary, to: &buffer)
        Self.append("--\r\n", to: &buffer)
    }

    private func writeHead(_ subject: Span<UInt8>, into buffer: inout [UInt8]) {
        Self.append("From: ", to: &buffer)
        if !sender.name.isEmpty {
            HeaderText.append(name: sender.name, to: &buffer, column: 6)
            // On a line of its own, because both may be long.
            Self.append("\r\n ", to: &buffer)
        }
        buffer.append(contentsOf: "<\(sender.address.text)>\r\nTo: <\(recipient.text)>\r\nSubject: ".utf8)
        HeaderText.append(subject, to: &buffer, column: 9)
        buffer.append(contentsOf: "\r\nDate: \(MailDate.text(date))\r\nMessage-ID: <\(messageID.text)>\r\n".utf8)
        // Automatic replies, such as those of absent users, are not sent to it (RFC 3834).
        Self.append("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n", to: &buffer)
        Self.append("Content-Type: multipart/alternative; boundary=\"", to: &buffer)
        Self.append(Self.boundary, to: &buffer)
        Self.append("\"\r\n\r\n", to: &buffer)
    }

    private func beginPart(_ type: StaticString, into buffer: inout [UInt8]) {
        Self.append("--", to: &buffer)
        Self.append(Self.boundary, to: &buffer)
        Self.append("\r\nContent-Type: ", to: &buffer)
        Self.append(type, to: &buffer)
        Self.append("; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", to: &buffer)
    }

    private static func append(_ text: StaticString, to buffer: inout [UInt8]) {
        unsafe buffer.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}

/// The sender of all mails: an address, and a name if there is one.
public struct MailSender: Sendable, Hashable {
    public let name: String
    public let address: MailAddress

    public init(name: String = "", address: MailAddress) {
        self.name = name
        self.address = address
    }

    /// Reads `address`, or `Name <address>`. The name may stand in quotation marks.
    public init(_ text: String) throws(MailAddress.FormError) {
        guard text.utf8.count <= 1000 else { throw .tooLong }
        var text = Substring(text)
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        guard text.last == ">", let open = text.lastIndex(of: "<") else {
            self.init(address: try MailAddress(String(text)))
            return
        }
        var name = text[..<open]
        while let last = name.last, last.isWhitespace { name.removeLast() }
        if name.count >= 2, name.first == "\"", name.last == "\"" { name = name.dropFirst().dropLast() }
        self.init(name: String(name), address: try MailAddress(String(text[text.index(after: open)...].dropLast())))
    }
}

/// The Message-ID of a mail, without its angle brackets.
public struct MailMessageID: Sendable, Hashable {
    public let text: String

    /// Nil unless `local` is letters, digits, `.`, `-` and `_`, at most 64 of them, and `domain` is a domain in ASCII.
    public init?(local: String, domain: String) {
        let isSafe = local.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false
            }
        }
        guard isSafe, !local.isEmpty, !local.hasPrefix("."), !local.hasSuffix("."), !local.contains(".."),
            local.utf8.count <= 64, let name = DomainName(ascii: Array(domain.utf8))
        else { return nil }
        text = "\(local)@\(name.text)"
    }
}
