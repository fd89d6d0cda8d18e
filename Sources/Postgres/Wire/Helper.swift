internal import EventLoop
internal import Glibc
internal import Synchronization

/// One blocking call on its own thread, whose value returns to the loop through a socket pair.
///
/// It does not return as a job, because the call may outlast the loop, and then its end must be ignored. The caller may
/// `abandon()` it at any time. The thread then ends by itself and frees its objects.
///
/// `@unchecked Sendable`: `value` is under its lock, `body` belongs to the thread alone, and the rest to the loop
/// alone.
final class Helper<Value: Sendable>: ReadinessHandler, HelperWork, @unchecked Sendable {
    private let loop: EventLoop
    private let body: @Sendable () -> Value
    private let value = Mutex<Value?>(nil)
    private var completion: ((Value) -> Void)?
    private let near: Int32
    private let far: Int32

    private init(
        _ loop: EventLoop, near: Int32, far: Int32, _ body: @escaping @Sendable () -> Value,
        _ completion: @escaping (Value) -> Void
    ) {
        self.loop = loop
        self.body = body
        self.completion = completion
        self.near = near
        self.far = far
    }

    /// Starts `body` on a thread. `completion` is called on the loop, once, unless the helper is abandoned. Nil without
    /// resources.
    static func start(
        on loop: EventLoop, _ body: @escaping @Sendable () -> Value, completion: @escaping (Value) -> Void
    ) -> Helper? {
        let ends = UnsafeMutablePointer<Int32>.allocate(capacity: 2)
        defer { unsafe ends.deallocate() }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, ends) == 0 else { return nil }
        let helper = unsafe Helper(loop, near: ends[0], far: ends[1], body, completion)
        guard helper.startThread() else { return nil }
        loop.watch(helper.near, for: .read, helper)
        return helper
    }

    private func startThread() -> Bool {
        var thread = pthread_t()
        // The thread takes ownership of this retain, and releases it when the call has ended, however late.
        let context = unsafe Unmanaged<AnyObject>.passRetained(self)
        let code = unsafe pthread_create(
            &thread, nil,
            { raw in
                // Not null: it is the context passed below.
                let helper = unsafe Unmanaged<AnyObject>.fromOpaque(raw!).takeRetainedValue() as? any HelperWork
                helper?.work()
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            unsafe context.release()
            return false
        }
        pthread_detach(thread)
        return true
    }

    deinit {
        close(near)
        close(far)
    }

    /// Abandons the call. On the loop.
    func abandon() {
        guard completion != nil else { return }
        completion = nil
        loop.unwatch(near)
    }

    func ready(_ descriptor: Int32, _ readiness: Readiness) {
        guard let completion, let value = value.withLock({ $0 }) else { return }
        abandon()
        completion(value)
    }

    func work() {
        let result = body()
        value.withLock { $0 = result }
        var byte: UInt8 = 1
        unsafe _ = send(far, &byte, 1, Int32(MSG_NOSIGNAL))
    }
}

/// The thread's view of a helper, because a C function pointer can't be generic.
private protocol HelperWork: AnyObject {
    func work()
}
