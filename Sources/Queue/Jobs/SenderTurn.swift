/// What `otp.send_jobs.held_by` has of a job that waits for its sender's turn (`otp.sender_rates`), where a pause has its
/// name. `FinishUnsent` and SQL `release_deferred` write it too.
public enum SenderTurn {
    private static let prefix = "rate "

    /// The name of the turn of `sender`.
    public static func name(of sender: String) -> String { prefix + sender }

    /// The sender whose turn `holder` is; nil for a pause.
    public static func sender(of holder: String) -> String? {
        holder.hasPrefix(prefix) ? String(holder.dropFirst(prefix.count)) : nil
    }
}
