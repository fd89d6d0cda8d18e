/// A refusal by the mail server, in reply to a command or to the content. The mail was surely not accepted.
public struct MailRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// The step that was refused.
    public enum Stage: String, Sendable, Hashable {
        /// The connection itself: the greeting, EHLO or STARTTLS.
        case connection
        /// The login (AUTH).
        case login
        /// MAIL FROM.
        case sender
        /// RCPT TO.
        case recipient
        /// DATA.
        case data
        /// The content.
        case content
    }

    /// What the refusal is about, as far as its codes say.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case authentication
        case tlsRequired = "tls_required"
        case invalidRecipient = "invalid_recipient"
        case mailboxFull = "mailbox_full"
        case greylisted
        case throttled
        case senderRefused = "sender_refused"
        case relayDenied = "relay_denied"
        case contentRefused = "content_refused"
        case tooLarge = "too_large"
        case internationalAddress = "international_address"
        case unavailable
        case other
    }

    public let stage: Stage
    /// The code of the reply, 400...599.
    public let code: Int
    public let status: EnhancedStatus?
    public let kind: Kind
    /// The server's words, without addresses and control characters. Unchecked text from outside.
    public let text: String

    init(_ reply: SMTPReply, _ stage: Stage) {
        let status = reply.lines.lazy.compactMap { EnhancedStatus($0) }.first
        let text = ServerText.read(reply)
        self.stage = stage
        code = reply.code
        self.status = status
        self.text = text
        kind = Self.kind(code: reply.code, status, stage, text.lowercased())
    }

    /// Whether the server will say the same again (5xx). Otherwise the mail may be sent again later (4xx).
    public var isPermanent: Bool { code >= 500 }

    public var description: String { text.isEmpty ? explanation : "\(explanation): \(text)" }

    private static func kind(code: Int, _ status: EnhancedStatus?, _ stage: Stage, _ text: String) -> Kind {
        if stage == .login || [530, 534, 535, 538].contains(code) {
            return text.contains("starttls") ? .tlsRequired : .authentication
        }
        if code < 500, text.contains("greylist") { return .greylisted }
        if let kind = status.flatMap({ self.kind($0, stage, text) }) { return kind }
        switch (stage, code) {
        case (.connection, _), (_, 421): return .unavailable
        case (.recipient, 450), (.recipient, 451): return .greylisted
        case (.recipient, 452), (.recipient, 552): return .mailboxFull
        case (.recipient, 550), (.recipient, 551), (.recipient, 553):
            return text.contains("relay") ? .relayDenied : .invalidRecipient
        case (.recipient, 554): return text.contains("relay") ? .relayDenied : .other
        case (.sender, 500...): return .senderRefused
        case (.content, 552): return .tooLarge
        case (.content, 550), (.content, 554): return .contentRefused
        default: return .other
        }
    }

    /// Nil if the enhanced status is too general to say more than the code does.
    private static func kind(_ status: EnhancedStatus, _ stage: Stage, _ text: String) -> Kind? {
        switch (status.subject, status.detail) {
        case (1, 7), (1, 8): return .senderRefused
        case (1, _): return stage == .sender ? .senderRefused : .invalidRecipient
        case (2, 1): return status.severity == 4 ? .throttled : .invalidRecipient
        case (2, 2), (3, 1): return .mailboxFull
        case (2, 3), (3, 4): return .tooLarge
        case (2, _): return .invalidRecipient
        case (4, 5), (7, 28), (5, 3): return .throttled
        case (4, _), (3, _): return .unavailable
        case (6, 7), (6, 9): return .internationalAddress
        case (6, _): return .contentRefused
        case (7, 8), (7, 9): return .authentication
        case (7, 10), (7, 11): return .tlsRequired
        case (7, 1) where stage == .recipient:
            if text.contains("relay") { return .relayDenied }
            return status.severity == 4 ? .greylisted : nil
        case (7, 20...27), (7, 60): return .senderRefused
        case (7, _) where stage == .sender: return status.severity == 5 ? .senderRefused : nil
        case (7, _) where stage == .content: return status.severity == 4 ? .throttled : .contentRefused
        default: return nil
        }
    }
}

// MARK: Words

extension MailRefusal {
    /// What happened, without the server's own words.
    public var explanation: String {
        let codes = status.map { "\(code) \($0)" } ?? "\(code)"
        return "the mail server refused \(place) with \(codes), \(Self.meaning(kind))"
    }

    private var place: String {
        switch stage {
        case .connection: "the connection"
        case .login: "the login"
        case .sender: "the sender's address"
        case .recipient: "the recipient's address"
        case .data: "the mail before its content"
        case .content: "the mail"
        }
    }

    private static func meaning(_ kind: Kind) -> String {
        switch kind {
        case .authentication: "authentication failed"
        case .tlsRequired: "it requires TLS"
        case .invalidRecipient: "the mailbox does not exist or takes no mail"
        case .mailboxFull: "the mailbox is full"
        case .greylisted: "it takes the mail only at a later attempt"
        case .throttled: "too many mails in a short time"
        case .senderRefused: "the sender may not send here"
        case .relayDenied: "it does not relay mail for this client"
        case .contentRefused: "it takes the mail for spam or does not like its content"
        case .tooLarge: "the mail is too large"
        case .internationalAddress: "it does not support an address with characters other than ASCII"
        case .unavailable: "the service is not available now"
        case .other: "no common reason"
        }
    }

    /// What the operator can do about it.
    public var remedy: String {
        switch kind {
        case .authentication:
            "Check OTPD_SMTP_USERNAME and OTPD_SMTP_PASSWORD. Some providers want a password made for programs."
        case .tlsRequired: "Use smtps:// in OTPD_SMTP_URL, or smtp:// with a host other than this machine."
        case .invalidRecipient: "Ask the user for another address. Many such mails harm the sender's reputation."
        case .mailboxFull: "The user must make room in the mailbox, or use another address."
        case .greylisted: "otpd tries again. Ask the provider to exempt your server from greylisting."
        case .throttled: "Lower the rate, or ask the provider for a higher limit."
        case .senderRefused:
            "Check OTPD_MAIL_FROM. The login must be allowed to use it, and its domain needs SPF, DKIM and DMARC."
        case .relayDenied: "Set OTPD_SMTP_USERNAME and OTPD_SMTP_PASSWORD, or let this machine relay."
        case .contentRefused:
            "Check mail_subject and mail_body in otp.templates, and SPF, DKIM and DMARC of the sender's domain."
        case .tooLarge: "Shorten mail_body in otp.templates."
        case .internationalAddress: "Use a mail server with SMTPUTF8, or ask the user for another address."
        case .unavailable: "Look at the mail server's log and status page."
        case .other: isPermanent ? "Look the code up in the mail server's documentation." : "otpd tries again."
        }
    }
}
