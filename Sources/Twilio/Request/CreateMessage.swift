public import OTP

/// Writes the bodies of requests that create an SMS. Their common parts are encoded once.
public struct CreateMessage: Sendable {
    /// The sender of these messages.
    public let sender: Sender
    /// `&From=…` or `&MessagingServiceSid=…`, and `&ProvideFeedback=true` if feedback will follow.
    private let senderField: [UInt8]
    private let statusCallback: StatusCallback

    /// The seconds that Twilio takes as `ValidityPeriod`: "integers from 1 to 36000" (its API description).
    public static let validityPeriods = 1...36_000
    public static let contentType = "application/x-www-form-urlencoded"
    /// The parameter of the status callback's URL that carries the reference to an attempt.
    public static let referenceName = "reference"

    /// `statusCallback` is the public URL of the receiver (`OTPD_CALLBACK_PUBLIC_URL`), to which the reference of each
    /// attempt is added as a query parameter. `providesFeedback` says that Twilio will be told whether the code was used:
    /// Twilio takes feedback for messages that were created so.
    public init(sender: Sender, statusCallback: String?, providesFeedback: Bool = false) {
        var field = Array("&".utf8)
        switch sender {
        case .from(let number):
            field.append(contentsOf: "From=".utf8)
            FormEncoding.append(number.utf8.span, to: &field)
        case .messagingService(let sid):
            field.append(contentsOf: "MessagingServiceSid=".utf8)
            FormEncoding.append(sid.utf8.span, to: &field)
        }
        if providesFeedback { field.append(contentsOf: "&ProvideFeedback=true".utf8) }
        self.sender = sender
        senderField = field
        self.statusCallback = StatusCallback(statusCallback)
    }

    /// Writes the form into `buffer`, which is emptied first and keeps its storage.
    ///
    /// `body` is the message as UTF-8; `lifeLeft` is the time until the code expires. The callback's URL carries the
    /// reference `<job>.<attempt>`, as `otp.record_status` takes it. So a callback brings the SID even if the answer to
    /// the POST was lost. Returns false and writes nothing if less than a second of life is left, because such a
    /// message must not be sent.
    public func write(
        into buffer: inout [UInt8], to number: PhoneNumber, body: Span<UInt8>, lifeLeft: Duration, job: Int64,
        attempt: Int32
    ) -> Bool {
        buffer.removeAll(keepingCapacity: true)
        let seconds = Int(lifeLeft.components.seconds)
        guard seconds >= CreateMessage.validityPeriods.lowerBound else { return false }
        // "%2B" is the plus of E.164. Its digits need no encoding.
        buffer.append("To=%2B")
        number.appendDigits(to: &buffer)
        buffer.append(contentsOf: senderField)
        buffer.append("&ValidityPeriod=")
        buffer.append(decimal: min(seconds, CreateMessage.validityPeriods.upperBound))
        statusCallback.write(job: job, attempt: attempt, into: &buffer)
        buffer.append("&Body=")
        FormEncoding.append(body, to: &buffer)
        return true
    }
}

/// The field `StatusCallback` of a request. Its URL is encoded once, and carries the reference to each attempt.
struct StatusCallback: Sendable {
    /// `&StatusCallback=…`, up to and including the name of the reference; empty if no callbacks are wanted.
    private let field: [UInt8]

    /// `url` is the public URL of the receiver; nil if no callbacks are wanted.
    init(_ url: String?) {
        var field: [UInt8] = []
        if let url {
            field.append("&StatusCallback=")
            let joint = url.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
            FormEncoding.append("\(url)\(joint)\(CreateMessage.referenceName)=".utf8.span, to: &field)
        }
        self.field = field
    }

    /// Appends the field with the reference `<job>.<attempt>`.
    func write(job: Int64, attempt: Int32, into buffer: inout [UInt8]) {
        guard !field.isEmpty else { return }
        buffer.append(contentsOf: field)
        buffer.append(decimal: Int(job))
        buffer.append(UInt8(ascii: "."))
        buffer.append(decimal: Int(attempt))
    }
}
