internal import EventLoop
internal import Glibc
internal import Synchronization

/// Runs `body` on a new event loop, and waits for it on the main thread. All asynchronous work of a command starts
/// here. Only two other places start a task without a parent: cancellation handlers, and the deferred close of a
/// connection. Those tasks run on the loop.
func onLoop<Value: Sendable>(_ body: @escaping @Sendable (EventLoop) async throws -> Value) throws -> Value {
    let loop: EventLoop
    do {
        loop = try EventLoop.start(name: "otpd")
    } catch {
        throw Failure(.internalError, "cannot start", because: "\(error)")
    }
    let root = RootResult<Value>()
    Task(executorPreference: loop) {
        do {
            root.set(.success(try await body(loop)))
        } catch {
            root.set(.failure(error))
        }
    }
    let result = root.wait()
    loop.stop()
    return try result.get()
}

/// A result that one thread sets once and another thread waits for.
///  `@unchecked Sendable`: one thread writes `value` before it posts the semaphore, and the other reads it after the
/// wait.
@safe private final class RootResult<Value: Sendable>: @unchecked Sendable {
    private var value: Result<Value, any Error>?
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        unsafe semaphore = .allocate(capacity: 1)
        unsafe _ = sem_init(semaphore, 0, 0)
    }

    deinit {
        unsafe _ = sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    func set(_ result: Result<Value, any Error>) {
        value = result
        unsafe _ = sem_post(semaphore)
    }

    func wait() -> Result<Value, any Error> {
        while unsafe sem_wait(semaphore) != 0 {}  // EINTR
        guard let value else { preconditionFailure("the semaphore was posted without a result") }
        return value
    }
}
