/// The rule against jobs that crash workers: after three claims without an outcome, the job fails.
public enum Poison {
    /// How many claims may end without an outcome.
    public static let maximumClaims = 3

    /// The failure of a job that was claimed too often without an outcome; nil while the job may be tried.
    ///
    /// `unfinishedClaims` counts claims whose lease ended with no outcome at all. A recorded retry is an outcome, and
    /// does not count.
    public static func failure(unfinishedClaims: Int) -> FailureCause? {
        guard unfinishedClaims >= maximumClaims else { return nil }
        return FailureCause(
            code: nil, errorClass: nil,
            error: "the job was claimed \(unfinishedClaims) times and no worker could finish it",
            remedy: "Look for crashes in otpd's log at these times, and ask the user to request a new code.")
    }
}
