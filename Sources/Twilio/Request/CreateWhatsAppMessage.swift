public import OTP

/// Writes the bodies of requests that create a WhatsApp message. Their common parts are encoded once.
///
/// WhatsApp takes a first message in an approved template alone, so there is no `Body` (error 63016). An authentication
/// template has one variable, the code. Twilio refuses any other variables (error 21656).
public struct CreateWhatsAppMessage: Sendable {
    /// The sender of these messages.
    public let sender: WhatsAppSender
    /// `&From=…` or `&MessagingServiceSid=…`.
    private let senderField: [UInt8]
    private let statusCallback: StatusCallback

    /// `statusCallback` is the public URL of the receiver, as for `CreateMessage`.
    public init(sender: WhatsAppSender, statusCallback: String?) {
        var field: [UInt8] = []
        switch sender {
        case .number: field.append("&From=")
        case .messagingService: field.append("&MessagingServiceSid=")
        }
        FormEncoding.append(sender.text.utf8.span, to: &field)
        self.sender = sender
        senderField = field
        self.statusCallback = StatusCallback(statusCallback)
    }

    /// Writes the form into `buffer`, which is emptied first and keeps its storage.
    ///
    /// The code goes from `code` to `buffer` alone. Otherwise as `CreateMessage.write`: returns false and writes nothing
    /// if less than a second of life is left.
    public func write(
        into buffer: inout [UInt8], to number: PhoneNumber, content: ContentSID, code: Code, lifeLeft: Duration,
        job: Int64, attempt: Int32
    ) -> Bool {
        buffer.removeAll(keepingCapacity: true)
        let seconds = Int(lifeLeft.components.seconds)
        guard seconds >= CreateMessage.validityPeriods.lowerBound else { return false }
        // "%3A" and "%2B" are the colon and the plus. Digits and SIDs need no encoding.
        buffer.append("To=whatsapp%3A%2B")
        number.appendDigits(to: &buffer)
        buffer.append(contentsOf: senderField)
        buffer.append("&ValidityPeriod=")
        buffer.append(decimal: min(seconds, CreateMessage.validityPeriods.upperBound))
        statusCallback.write(job: job, attempt: attempt, into: &buffer)
        buffer.append("&ContentSid=")
        buffer.append(contentsOf: content.description.utf8)
        // {"1":"…"}
        buffer.append("&ContentVariables=%7B%221%22%3A%22")
        code.forEachCharacter { character in
            if character == UInt8(ascii: "\"") || character == UInt8(ascii: "\\") { buffer.append("%5C") }
            FormEncoding.append(character, to: &buffer)
        }
        buffer.append("%22%7D")
        return true
    }
}
