/// Lets one task on the loop wait for a signal. A signal without a waiting task is kept for the next wait.
///
/// `@unchecked Sendable`: touched only on the loop's thread, which `checkIsolated()` enforces at each entry point.
public final class Latch: @unchecked Sendable {
    private let loop: EventLoop
    private var isSignalled = false
    private var waiter: CheckedContinuation<Void, Never>?
    private var timer: TimerID?

    /// Makes a latch without a signal on `loop`.
    public init(on loop: EventLoop) { self.loop = loop }

    /// Wakes the waiting task, or the next one to wait.
    public func signal() {
        loop.checkIsolated()
        if waiter == nil { isSignalled = true } else { resume() }
    }

    /// Waits for a signal, until `due` at most. Ends at once if the task is canceled. One task at a time may wait.
    public func wait(until due: Instant? = nil) async {
        loop.checkIsolated()
        if isSignalled {
            isSignalled = false
            return
        }
        precondition(waiter == nil, "a latch has one waiter")
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { return continuation.resume() }
                waiter = continuation
                guard let due else { return }
                timer = loop.schedule(at: due) { [self] in
                    timer = nil
                    resume()
                }
            }
        } onCancel: {
            // Cancellation may come from any thread, so it reaches the waiter as a job of the loop.
            Task(executorPreference: loop) { self.resume() }
        }
    }

    private func resume() {
        if let timer { loop.cancel(timer) }
        timer = nil
        waiter?.resume()
        waiter = nil
    }
}
