import OTP

/// Sentences for the rows of jobs and for the log.
enum Words {
    static let newCode = "Let the user ask for a new code."

    /// Makes a sentence of `words`. Those of `otp.error_classes` are sentences already; those of this program are parts
    /// of one.
    static func sentence(_ words: String) -> String {
        guard let first = words.first else { return words }
        return first.uppercased() + words.dropFirst() + (words.hasSuffix(".") ? "" : ".")
    }

    static func of(_ step: Disposition.Step) -> String {
        switch step {
        case .accepted: "accepted"
        case .failed(let why), .retry(_, let why), .hold(let why), .expired(let why): why.error
        case .unknown(let reason): reason.explanation
        }
    }
}
