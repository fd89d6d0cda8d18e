/// What a Twilio error code means for otpd. The names are those of `otp.error_classes`. The explanations that people
/// read are data too, in `otp.error_class_defaults` and `otp.error_classes`.
public enum ErrorClass: String, Sendable, Hashable, CaseIterable {
    /// Bad credentials, a suspended account or no funds: nothing can be sent until the operator acts.
    case pauseWorker = "pause_worker"
    /// The sender may not send, or not this kind of message.
    case pauseSender = "pause_sender"
    /// The channel cannot be used: Twilio or WhatsApp refuses its sender or its template.
    case pauseChannel = "pause_channel"
    /// The country is not enabled (geo permission).
    case pauseCountry = "pause_country"
    /// This recipient cannot be reached.
    case permanentRecipient = "permanent_recipient"
    /// The request itself was wrong.
    case badJob = "bad_job"
    /// The text was refused.
    case content
    /// Too many requests at a time; may pass by itself.
    case throttle
    /// The code does not say whether the message was sent.
    case ambiguous
    /// It was not sent, and trying again may help.
    case retrySafe = "retry_safe"
    /// One further try may help, and no more.
    case oneResend = "one_resend"
    /// Fraud was suspected behind this number's prefix.
    case fraudHold = "fraud_hold"
    /// Irrelevant to sends.
    case ignore
}
