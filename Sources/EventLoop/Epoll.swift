internal import CLinux
internal import Glibc

/// The kernel's side of the loop: one epoll descriptor and the eventfd that wakes it. Owned by one `EventLoop` and used
/// on its thread alone, except for `wake()`.
@safe struct Epoll: ~Copyable {
    private let epoll: Int32
    private let wakeUp: Int32
    /// How many events one `epoll_wait` may report.
    private static let capacity = 256
    /// Where `epoll_wait` writes. It is not an array, because handlers call back into this struct while it is being read.
    private let events: UnsafeMutablePointer<epoll_event>

    init() throws(EventLoopError) {
        // Both are opened before either is stored, because a struct that cannot be copied cannot be half initialized.
        let polling = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard polling >= 0 else { throw EventLoopError(call: "epoll_create1", errno: errno) }
        let waking = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard waking >= 0 else {
            let code = errno
            close(polling)
            throw EventLoopError(call: "eventfd", errno: code)
        }
        epoll = polling
        wakeUp = waking
        unsafe events = .allocate(capacity: Self.capacity)
        unsafe events.initialize(repeating: epoll_event(), count: Self.capacity)
        control(EPOLL_CTL_ADD, wakeUp, EPOLLIN.rawValue)
    }

    deinit {
        unsafe events.deallocate()
        close(wakeUp)
        close(epoll)
    }

    /// The descriptor that other threads write to. Safe from any thread while the loop exists.
    var wakeUpDescriptor: Int32 { wakeUp }

    static func wake(_ descriptor: Int32) {
        var one: UInt64 = 1
        // EAGAIN means that the counter is full, so the loop is being woken already.
        unsafe _ = write(descriptor, &one, 8)
    }

    func add(_ descriptor: Int32, _ readiness: Readiness) {
        control(EPOLL_CTL_ADD, descriptor, readiness.epollEvents)
    }

    func modify(_ descriptor: Int32, _ readiness: Readiness) {
        control(EPOLL_CTL_MOD, descriptor, readiness.epollEvents)
    }

    /// Removes a descriptor. A closed descriptor has left the set by itself.
    func remove(_ descriptor: Int32) {
        control(EPOLL_CTL_DEL, descriptor, 0)
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ wanted: UInt32) {
        var event = unsafe epoll_event()
        unsafe event.events = wanted
        unsafe event.data.fd = descriptor
        guard unsafe epoll_ctl(epoll, operation, descriptor, &event) != 0 else { return }
        switch (operation, errno) {
        case (EPOLL_CTL_DEL, _): return
        // The descriptor was closed and opened again without the table's knowledge, or the other way round.
        case (EPOLL_CTL_ADD, EEXIST): unsafe _ = epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event)
        case (EPOLL_CTL_MOD, ENOENT): unsafe _ = epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
        default: return  // A closed descriptor: its owner's next call fails.
        }
    }

    /// Waits until a descriptor is ready, at most `timeout` ms (-1: no limit). Returns how many are ready.
    ///
    /// `EINTR` is retried with the same timeout. The caller computes the timeout again each turn, so a signal delays it
    /// by at most that.
    func wait(milliseconds timeout: Int32) -> Int {
        var count: Int32
        repeat {
            count = unsafe epoll_wait(epoll, events, Int32(Self.capacity), timeout)
        } while count < 0 && errno == EINTR
        return max(0, Int(count))
    }

    /// The descriptor and readiness that the last `wait` reported at `index`. Nil for the wake-up, which it resets.
    func ready(at index: Int) -> (descriptor: Int32, readiness: Readiness)? {
        let event = unsafe events[index]
        let descriptor = unsafe event.data.fd
        if descriptor == wakeUp {
            var counter: UInt64 = 0
            unsafe _ = read(wakeUp, &counter, 8)
            return nil
        }
        return (descriptor, Readiness(epoll: unsafe event.events))
    }
}

/// The kernel refused a system call of the loop.
public struct EventLoopError: Error, CustomStringConvertible {
    /// The system call.
    public let call: String
    /// Its `errno`.
    public let errno: Int32

    public var description: String {
        let reason = unsafe String(cString: strerror(errno))
        return "\(call) failed: \(reason). Raise the limit of open files (LimitNOFILE=) or free memory."
    }
}
