/// Lets one task on the loop wait until something has changed; a signal with nobody waiting is kept for the next wait.
///
/// Not `Sendable`: it belongs to one actor pinned to the loop.
public final class Latch {
    private let loop: EventLoop
    private var isSignalled = false
    private var waiter: CheckedContinuation<Void, Never>?
    private var timer: TimerID?

    /// An unsignalled latch of `loop`.
    public init(on loop: EventLoop) { self.loop = loop }

    /// Wakes the waiting task, or the next one to wait.
    public func signal() {
        loop.checkIsolated()
        guard let waiter else {
            isSignalled = true
            return
        }
        self.waiter = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        waiter.resume()
    }

    /// Waits for a signal, at most until `due`; one task at a time.
    public func wait(until due: Instant? = nil) async {
        loop.checkIsolated()
        if isSignalled {
            isSignalled = false
            return
        }
        precondition(waiter == nil, "a latch has one waiter")
        await withCheckedContinuation { continuation in
            waiter = continuation
            guard let due else { return }
            timer = loop.schedule(at: due) { [self] in
                timer = nil
                waiter?.resume()
                waiter = nil
            }
        }
    }
}
