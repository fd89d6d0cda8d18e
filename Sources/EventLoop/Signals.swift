internal import CLinux
internal import Glibc

/// Unix signals as events of the loop (`signalfd(2)`), instead of interruptions of running code.
///
/// `@unchecked Sendable`: touched only on the loop's thread after `start`, which `EventLoop.watch` enforces.
public final class Signals: ReadinessHandler, @unchecked Sendable {
    private let descriptor: Int32
    private let handler: (Int32) -> Void

    /// Blocks `signals` for this thread and all threads that it starts. Call it in `main`, before the first other
    /// thread starts. A signal that one thread does not block is delivered to that thread and never reaches the loop.
    public static func block(_ signals: [Int32]) {
        var set = mask(signals)
        unsafe _ = pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Calls `handler` on the loop for each of `signals` that arrives. Call it on the loop's thread. It stays active as
    /// long as the loop.
    public static func watch(_ signals: [Int32], on loop: EventLoop, _ handler: @escaping (Int32) -> Void)
        throws(EventLoopError)
    {
        loop.checkIsolated()
        var set = mask(signals)
        let descriptor = unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
        guard descriptor >= 0 else { throw EventLoopError(call: "signalfd", errno: errno) }
        let watcher = Signals(descriptor, handler)
        loop.watch(descriptor, for: .read, watcher)
    }

    private init(_ descriptor: Int32, _ handler: @escaping (Int32) -> Void) {
        self.descriptor = descriptor
        self.handler = handler
    }

    deinit { close(descriptor) }

    public func ready(_ descriptor: Int32, _ readiness: Readiness) {
        var info = signalfd_siginfo()
        while unsafe read(descriptor, &info, MemoryLayout<signalfd_siginfo>.size) == MemoryLayout<signalfd_siginfo>.size
        {
            handler(Int32(info.ssi_signo))
        }
    }

    private static func mask(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        unsafe _ = sigemptyset(&set)
        for signal in signals { unsafe _ = sigaddset(&set, signal) }
        return set
    }
}
