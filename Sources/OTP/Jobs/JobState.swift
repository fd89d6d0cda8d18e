/// What has become of a send job: `job_state` in `otp.delivery_status`. Ours; never mixed with Twilio's ``MessageStatus``.
public enum JobState: String, Sendable, Hashable, CaseIterable {
    /// Waits to be claimed. Becomes `sending`, `expired`, `limited` or `canceled`; `failed` when it cannot be sent.
    case queued
    /// Claimed, under a lease. Becomes `queued` (not sent), `unknown`, or any of the ends but `canceled`.
    case sending
    /// May have been sent. Becomes `accepted` on evidence, `queued` where Twilio does not have it, or an end.
    case unknown
    /// Twilio has it. An end.
    case accepted
    /// It will not be sent: refused, poisonous, or its outcome stayed unknown. An end, but evidence still settles it.
    case failed
    /// The code died first. An end.
    case expired
    /// A limit was exceeded. An end.
    case limited
    /// Withdrawn before it was sent. An end.
    case canceled

    /// Whether the job is done with.
    public var isFinal: Bool {
        switch self {
        case .queued, .sending, .unknown: false
        case .accepted, .failed, .expired, .limited, .canceled: true
        }
    }

    /// Whether a job may go from this state to `next`.
    public func canBecome(_ next: JobState) -> Bool {
        switch (self, next) {
        case (.queued, .sending), (.queued, .failed), (.queued, .expired), (.queued, .limited), (.queued, .canceled):
            true
        case (.sending, .queued), (.sending, .unknown), (.sending, .accepted), (.sending, .failed),
            (.sending, .expired), (.sending, .limited):
            true
        case (.unknown, .accepted), (.unknown, .queued), (.unknown, .failed), (.unknown, .expired): true
        // "A SID is evidence": an unknown outcome that was given up as failed is corrected when the message turns up.
        case (.failed, .accepted), (.expired, .accepted): true
        case (.queued, _), (.sending, _), (.unknown, _): false
        case (.accepted, _), (.failed, _), (.expired, _), (.limited, _), (.canceled, _): false
        }
    }
}
