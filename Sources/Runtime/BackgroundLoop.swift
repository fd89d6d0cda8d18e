/// A loop that runs beside a service's main work: one round after another until its task is canceled.
///
/// A round returns its wait and does not wait itself, so that tests call rounds one by one.
public protocol BackgroundLoop {
    /// What a round can wait for.
    associatedtype Wait

    /// Does the work that is due now. Returns what the next round waits for.
    mutating func round() async -> Wait

    /// Returns when the next round is due, or the task is canceled.
    func pause(_ wait: Wait) async
}

extension BackgroundLoop {
    /// Runs until the task is canceled.
    public mutating func run() async {
        while !Task.isCancelled {
            let wait = await round()
            await pause(wait)
        }
    }
}
