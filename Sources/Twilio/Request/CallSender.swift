internal import OTP

/// The number that calls come from. Twilio calls from numbers alone: short codes, names and messaging services cannot
/// call.
public struct CallSender: Sendable, Hashable {
    /// A number in E.164.
    public let number: String

    /// Reads the setting `name`.
    public init(_ text: String, setting name: String) throws(SettingProblem) {
        guard text == text.trimmed else { throw .surroundingSpaces(name) }
        guard (try? PhoneNumber(e164: text)) != nil else { throw .notACaller(name) }
        number = text
    }

    /// The sender of messages as the sender of calls, if it can call. `name` is the setting that it came from.
    public init(_ sender: Sender, setting name: String) throws(SettingProblem) {
        switch sender {
        case .from(let text): try self.init(text, setting: name)
        case .messagingService: throw .notACaller(name)
        }
    }
}
