/// The key of a recorded message. `otp.messages` is found by both, because its primary key begins with the range of the job.
public struct MessageKey: Sendable, Hashable {
    /// The send job.
    public var job: Int64
    /// Twilio's SID.
    public var sid: String

    public init(job: Int64, sid: String) { (self.job, self.sid) = (job, sid) }
}
