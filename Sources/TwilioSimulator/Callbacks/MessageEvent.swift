/// A message that reached a status.
struct MessageEvent: Equatable, Sendable {
    var status: MessageStatus
    var messageSID: String
    var accountSID: String
    var to: String
    var from: String
    var serviceSID: String
    var errorCode: UInt32

    /// The form fields that Twilio sends with a status callback.
    var parameters: [(name: String, value: String)] {
        var parameters = [
            (name: "SmsSid", value: messageSID), (name: "SmsStatus", value: status.rawValue),
            (name: "MessageStatus", value: status.rawValue), (name: "To", value: to),
            (name: "MessageSid", value: messageSID), (name: "AccountSid", value: accountSID),
            (name: "From", value: from), (name: "ApiVersion", value: "2010-04-01"),
        ]
        if !serviceSID.isEmpty { parameters.append((name: "MessagingServiceSid", value: serviceSID)) }
        if Channel.ofMessage(to: to.utf8) == .whatsapp {
            parameters.append((name: "ChannelPrefix", value: Channel.whatsapp.rawValue))
            parameters.append((name: "ChannelToAddress", value: String(to.dropFirst("whatsapp:".count))))
            if status == .delivered || status == .read {
                parameters.append((name: "EventType", value: status.rawValue.uppercased()))
            }
        }
        if status == .undelivered || status == .failed {
            parameters.append((name: "ErrorCode", value: String(errorCode)))
        }
        return parameters
    }
}
