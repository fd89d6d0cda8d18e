/// What a queued job waits for, beside the time at which it is due: SQL `otp.hold_kind`.
public enum JobHold: Sendable, Equatable {
    /// The end of the pause of this name (`otp.pauses`).
    case pause(String)
    /// Its turn at its sender's rate (`otp.sender_rates`).
    case rate(sender: String)

    /// `otp.send_jobs.hold_kind`.
    var kind: String {
        switch self {
        case .pause: "pause"
        case .rate: "rate"
        }
    }

    /// `otp.send_jobs.hold_key`.
    var key: String {
        switch self {
        case .pause(let name): name
        case .rate(let sender): sender
        }
    }
}
