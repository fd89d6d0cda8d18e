public import Glibc

/// Threads for blocking work, because a server or a relay of raw sockets must not block the tests' own tasks.
public enum Threads {
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread, which the caller joins or detaches.
    public static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t {
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body))
        let code = pthread_create(
            &thread, nil,
            {
                Unmanaged<Work>.fromOpaque($0!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        precondition(code == 0, "no thread: \(code)")
        return thread
    }

    /// Starts a detached thread.
    public static func detach(_ body: @escaping @Sendable () -> Void) { pthread_detach(start(body)) }
}
