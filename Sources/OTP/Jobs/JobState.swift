/// What has become of a send job: `job_state` in `otp.delivery_status`. Ours; never mixed with Twilio's ``MessageStatus``.
///
/// Who moves a job from which state to which, and by which statement, is in Sources/README.md ("How the promise is kept").
public enum JobState: String, Sendable, Hashable, CaseIterable {
    /// Waits to be claimed. Becomes `sending`, `expired` or `canceled`.
    case queued
    /// Claimed, under a lease. Becomes `queued` (not sent), `unknown`, or an end.
    case sending
    /// May have been sent. Becomes `accepted` on evidence, `queued` or an end where an attempt knows for certain that it
    /// was not sent, and `failed` when its code has died.
    case unknown
    /// Twilio has it. An end.
    case accepted
    /// It will not be sent: refused, or its outcome stayed unknown. An end: should its message turn up all the same, it
    /// is kept beside it.
    case failed
    /// The code died first. An end.
    case expired
    /// A limit was exceeded. An end; nothing ends like this yet.
    case limited
    /// Withdrawn before it was sent. An end.
    case canceled
}
