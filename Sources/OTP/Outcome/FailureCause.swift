/// The reason for a job's state, as shown in `otp.delivery_status`.
public struct FailureCause: Sendable, Hashable {
    /// The error code that Twilio or the mail server gave, if it gave one.
    public let code: Int?
    public let errorClass: ErrorClass?
    /// What happened.
    public let error: String
    /// What to do.
    public let remedy: String

    public init(code: Int?, errorClass: ErrorClass?, error: String, remedy: String) {
        self.code = code
        self.errorClass = errorClass
        self.error = error
        self.remedy = remedy
    }
}
