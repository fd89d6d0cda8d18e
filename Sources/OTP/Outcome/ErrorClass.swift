/// What an error code of Twilio's means for us. The names are those of `otp.error_classes`.
public enum ErrorClass: String, Sendable, Hashable, CaseIterable {
    /// Bad credentials, suspended account, no funds: nothing can be sent until somebody acts.
    case pauseWorker = "pause_worker"
    /// The sender may not send, or not so.
    case pauseSender = "pause_sender"
    /// The country is not enabled (geo permission).
    case pauseCountry = "pause_country"
    /// This recipient cannot be reached.
    case permanentRecipient = "permanent_recipient"
    /// The request itself was wrong.
    case badJob = "bad_job"
    /// The text was refused.
    case content
    /// Too much at a time: slow down.
    case throttle
    /// The code does not say whether the message was sent.
    case ambiguous
    /// It was not sent, and trying again may help.
    case retrySafe = "retry_safe"
    /// One further try may help, and no more.
    case oneResend = "one_resend"
    /// Fraud was suspected behind this number's prefix.
    case fraudHold = "fraud_hold"
    /// Says nothing of a send.
    case ignore

    /// What happened, for a code whose row has no words of its own.
    public var explanation: String {
        switch self {
        case .pauseWorker: "Twilio does not accept our account or credentials"
        case .pauseSender: "Twilio does not let our sender send this"
        case .pauseCountry: "our Twilio account may not send to this country"
        case .permanentRecipient: "this phone number cannot receive our message"
        case .badJob: "Twilio found the request itself wrong"
        case .content: "the text of the message was refused"
        case .throttle: "Twilio takes no more messages at this rate"
        case .ambiguous: "Twilio's error does not say whether the message was sent"
        case .retrySafe: "Twilio could not take the message for the moment"
        case .oneResend: "the message did not get through, for a reason that may pass"
        case .fraudHold: "Twilio suspects fraud behind this prefix"
        case .ignore: "Twilio gave an error that says nothing of this message"
        }
    }

    /// What to do, for a code whose row has no words of its own.
    public var remedy: String {
        switch self {
        case .pauseWorker: "check TWILIO_ACCOUNT_SID, the credentials and the account's state in the Twilio console"
        case .pauseSender: "check TWILIO_PHONE_NUMBER or TWILIO_MESSAGING_SERVICE_SID in the Twilio console"
        case .pauseCountry: "enable the country under Messaging, Geo permissions, in the Twilio console"
        case .permanentRecipient: "ask the user for another phone number"
        case .badJob: "look the code up in Twilio's error list and tell the maintainers of otpd"
        case .content: "change the text in otp.templates"
        case .throttle: "nothing: otpd slows down by itself; ask Twilio for a higher rate if it lasts"
        case .ambiguous: "nothing: otpd looks the message up before it sends again"
        case .retrySafe: "nothing: otpd tries again by itself"
        case .oneResend: "ask the user to request a new code"
        case .fraudHold: "look at who asks for codes under this prefix before letting it go on"
        case .ignore: "look the code up in Twilio's error list"
        }
    }
}
