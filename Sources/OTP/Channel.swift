/// How a code reaches its user: the column `channel` of a route's step, of a send job and of a message.
public enum Channel: String, Sendable, Hashable, CaseIterable {
    case sms, whatsapp, call, email

    /// The channel's name for people, as after "by": `SMS`, `WhatsApp`, `phone call`, `e-mail`.
    public var name: String {
        switch self {
        case .sms: "SMS"
        case .whatsapp: "WhatsApp"
        case .call: "phone call"
        case .email: "e-mail"
        }
    }
}

extension Channel: CustomStringConvertible {
    public var description: String { rawValue }
}
