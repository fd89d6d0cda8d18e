public import OTP

/// Writes the bodies of requests that create a call. Their common parts are encoded once.
public struct CreateCall: Sendable {
    /// The number that the calls come from.
    public let sender: CallSender
    /// `&From=…`, and the events that Twilio is to report.
    private let fixedFields: [UInt8]
    private let statusCallback: StatusCallback

    /// How long a phone rings at most, in seconds. Twilio adds up to five. A voice mail mostly answers later than that,
    /// and must not get the code.
    public static let longestRing = 20
    /// The statuses that Twilio reports. It names `in-progress` by the event `answered`.
    static let events = ["initiated", "ringing", "answered", "completed"]

    /// `statusCallback` is the public URL of the receiver, as for `CreateMessage`.
    public init(sender: CallSender, statusCallback: String?) {
        var fields: [UInt8] = []
        fields.append("&From=")
        FormEncoding.append(sender.number.utf8.span, to: &fields)
        if statusCallback != nil {
            // Twilio takes the parameter once for each event.
            for event in Self.events { fields.append(contentsOf: "&StatusCallbackEvent=\(event)".utf8) }
        }
        self.sender = sender
        fixedFields = fields
        self.statusCallback = StatusCallback(statusCallback)
    }

    /// Writes the form into `buffer`, which is emptied first and keeps its storage.
    ///
    /// `twiml` is what ``TwiML`` wrote. The phone rings no longer than the code lives. Returns false and writes nothing
    /// if less than a second of life is left, because such a call must not be made.
    public func write(
        into buffer: inout [UInt8], to number: PhoneNumber, twiml: Span<UInt8>, lifeLeft: Duration, job: Int64,
        attempt: Int32
    ) -> Bool {
        buffer.removeAll(keepingCapacity: true)
        let seconds = Int(lifeLeft.components.seconds)
        guard seconds >= 1 else { return false }
        // "%2B" is the plus of E.164. Its digits need no encoding.
        buffer.append("To=%2B")
        number.appendDigits(to: &buffer)
        buffer.append(contentsOf: fixedFields)
        buffer.append("&Timeout=")
        buffer.append(decimal: min(seconds, Self.longestRing))
        statusCallback.write(job: job, attempt: attempt, into: &buffer)
        buffer.append("&Twiml=")
        FormEncoding.append(twiml, to: &buffer)
        return true
    }
}
