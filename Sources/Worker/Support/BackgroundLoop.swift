/// A loop that runs beside the sends: one round after another until its task is cancelled.
///
/// A round decides what it waits for, so that tests call rounds one by one and no test waits.
protocol BackgroundLoop {
    /// What a round can wait for.
    associatedtype Wait

    /// Does what is due now; what the next round waits for.
    mutating func round() async -> Wait

    /// Returns when the next round is due, or the task is cancelled.
    func pause(_ wait: Wait) async
}

extension BackgroundLoop {
    /// Runs until the task is cancelled.
    mutating func run() async {
        while !Task.isCancelled {
            let wait = await round()
            await pause(wait)
        }
    }
}
