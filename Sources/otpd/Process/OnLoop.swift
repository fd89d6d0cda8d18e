internal import EventLoop
internal import Glibc
internal import Synchronization

/// The root of everything asynchronous in a command: runs `body` on an event loop of its own, and waits for it on the
/// main thread. The one place where a task is started that has no parent, besides cancellation handlers and the deferred close of
/// a connection, which come back as jobs of the loop.
func onLoop<Value: Sendable>(_ body: @escaping @Sendable (EventLoop) async throws -> Value) throws -> Value {
    let loop: EventLoop
    do {
        loop = try EventLoop.start(name: "otpd")
    } catch {
        throw Failure(.internalError, "Cannot start", because: "\(error)")
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

/// A result that one thread waits for and another sets, once.
///
/// `@unchecked Sendable`: `value` is written before the semaphore is posted and read after it was waited for.
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
        guard let value else { preconditionFailure("a result was announced and not set") }
        return value
    }
}
