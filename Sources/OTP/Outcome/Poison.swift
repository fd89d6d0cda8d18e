/// The rule against jobs that take workers down: three claims without an end, and the job fails.
public enum Poison {
    /// How many claims may end in nothing.
    public static let maximumClaims = 3

    /// The failure of a job that was claimed so often without any outcome being written; nil while it may be tried.
    ///
    /// `unfinishedClaims` counts claims whose lease ran out with no outcome at all. A retry that was written down is an
    /// outcome, and does not count.
    public static func failure(unfinishedClaims: Int) -> Disposition.Failure? {
        guard unfinishedClaims >= maximumClaims else { return nil }
        return Disposition.Failure(
            code: nil, errorClass: nil,
            error: "the job was claimed \(unfinishedClaims) times and no worker could finish it",
            remedy: "look in otpd's log for crashes at these times, and ask the user to request a new code")
    }
}
