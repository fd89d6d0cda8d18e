internal import OTP

/// The sender of WhatsApp messages: a number that is a WhatsApp sender, or a messaging service with one.
public enum WhatsAppSender: Sendable, Hashable {
    /// A number in E.164.
    case number(String)
    /// A messaging service, by its SID.
    case messagingService(String)

    /// Reads the setting `name`. The number may have Twilio's prefix `whatsapp:`, with which the console shows it.
    public init(_ text: String, setting name: String) throws(SettingProblem) {
        guard text == text.trimmed else { throw .surroundingSpaces(name) }
        if Identifier.isValid(text, prefix: "MG") {
            self = .messagingService(text)
            return
        }
        let prefix = "\(PhoneNumber.whatsAppPrefix)"
        let number = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
        guard (try? PhoneNumber(e164: number)) != nil else { throw .notAWhatsAppSender(name) }
        self = .number(number)
    }

    /// The sender as Twilio names it in its answers: `whatsapp:+15005550006`, or the service's SID.
    public var text: String {
        switch self {
        case .number(let number): "\(PhoneNumber.whatsAppPrefix)\(number)"
        case .messagingService(let sid): sid
        }
    }
}
