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

    /// Waits for a signal, at most until `due`; ends at once when the task is canceled. One task at a time.
    ///
    /// - Parameter isolation: the caller's, which is the default. With it, a wait begins without a hop to another
    ///   executor, and so on the loop whichever task calls.
    public func wait(until due: Instant? = nil, isolation: isolated (any Actor)? = #isolation) async {
        loop.checkIsolated()
        if isSignalled {
            isSignalled = false
            return
        }
        precondition(waiter == nil, "a latch has one waiter")
        await withTaskCancellationHandler {
            // A closure runs on the executor of the isolation that it captures.
            _ = isolation
            await withCheckedContinuation { continuation in
                loop.checkIsolated()
                // A caller without isolation hops all the same, and a signal may come during that.
                if isSignalled || Task.isCancelled {
                    isSignalled = false
                    return continuation.resume()
                }
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
