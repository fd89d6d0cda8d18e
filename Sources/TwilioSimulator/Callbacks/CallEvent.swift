/// A call that reached a status.
struct CallEvent: Equatable, Sendable {
    var status: CallStatus
    /// The call's sequence number in the simulator. A call that ended early has no later events.
    var call: Int
    var callSID: String
    var accountSID: String
    var to: String
    var from: String
    /// The position among the call's events, from 0.
    var position: Int
    /// When it happened.
    var at: Microseconds
    /// How long the call was connected, in seconds, once it is over.
    var durationSeconds: Int

    /// The form fields that Twilio sends with a call's progress.
    var parameters: [(name: String, value: String)] {
        var parameters = [
            (name: "AccountSid", value: accountSID), (name: "ApiVersion", value: "2010-04-01"),
            (name: "CallSid", value: callSID), (name: "CallStatus", value: status.rawValue),
            (name: "CallbackSource", value: "call-progress-events"), (name: "Called", value: to),
            (name: "Caller", value: from), (name: "Direction", value: "outbound-api"),
            (name: "From", value: from), (name: "SequenceNumber", value: String(position)),
            (name: "Timestamp", value: Dates.rfc2822(seconds: at / 1_000_000)), (name: "To", value: to),
        ]
        if status.isFinal {
            parameters.append((name: "CallDuration", value: String(durationSeconds)))
            parameters.append((name: "Duration", value: String((durationSeconds + 59) / 60)))
        }
        return parameters
    }
}
