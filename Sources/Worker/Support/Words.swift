import OTP

/// Sentences for the rows of jobs and for the log.
enum Words {
    static let newCode = "Let the user ask for a new code."

    static func of(_ step: Disposition.Step) -> String {
        switch step {
        case .accepted: "accepted"
        case .failed(let why), .retry(_, let why), .hold(let why), .expired(let why): why.error
        case .unknown(let reason): reason.explanation
        }
    }
}
