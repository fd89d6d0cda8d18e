extension EventLoop {
    /// Suspends the calling task until `due`. Call it from a task on the loop.
    ///
    /// - Throws: `CancellationError` at once when the task is canceled.
    public func sleep(until due: Instant, isolation: isolated (any Actor)? = #isolation)
        async throws(CancellationError)
    {
        checkIsolated()
        let sleeper = Sleeper(loop: self)
        let wasCanceled = await withTaskCancellationHandler {
            // A closure runs on the executor of the isolation that it captures (`Latch.wait`).
            _ = isolation
            return await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
                sleeper.begin(continuation, until: due)
            }
        } onCancel: {
            // Cancellation may come from any thread, so it reaches the sleeper as a job of the loop.
            Task(executorPreference: self) { sleeper.cancel() }
        }
        if wasCanceled { throw CancellationError() }
    }

    /// Suspends the calling task for `span`; from a task on the loop.
    public func sleep(for span: Instant.Duration, isolation: isolated (any Actor)? = #isolation)
        async throws(CancellationError)
    {
        try await sleep(until: .now() + span, isolation: isolation)
    }
}

/// One sleep. `@unchecked Sendable`: touched only on the loop's thread, which `checkIsolated()` enforces.
private final class Sleeper: @unchecked Sendable {
    private let loop: EventLoop
    private var continuation: CheckedContinuation<Bool, Never>?
    private var timer: TimerID?
    private var isCanceled = false

    init(loop: EventLoop) { self.loop = loop }

    func begin(_ continuation: CheckedContinuation<Bool, Never>, until due: Instant) {
        if isCanceled || Task.isCancelled {
            continuation.resume(returning: true)
            return
        }
        self.continuation = continuation
        timer = loop.schedule(at: due) { [self] in end(canceled: false) }
    }

    func cancel() {
        loop.checkIsolated()
        isCanceled = true
        end(canceled: true)
    }

    private func end(canceled: Bool) {
        if let timer { loop.cancel(timer) }
        continuation?.resume(returning: canceled)
        continuation = nil
    }
}
