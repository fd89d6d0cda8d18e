/// The key of a recorded message. The primary key of `otp.messages` begins with the range of the job, so both are
/// needed.
public struct MessageKey: Sendable, Hashable {
    /// The send job.
    public var job: Int64
    /// Twilio's SID.
    public var sid: String

    public init(job: Int64, sid: String) { (self.job, self.sid) = (job, sid) }
}
