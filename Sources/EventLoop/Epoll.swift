internal import CLinux
internal import Glibc

/// The kernel's side of the loop: one epoll descriptor and the eventfd that wakes it. Owned by one `EventLoop`, used
/// on its thread alone, but for `wake()`.
@safe struct Epoll: ~Copyable {
    private let epoll: Int32
    private let wakeUp: Int32
    private var events = unsafe [epoll_event](repeating: epoll_event(), count: 256)

    init() throws(EventLoopError) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC.rawValue))
        guard epoll >= 0 else { throw EventLoopError(call: "epoll_create1", errno: errno) }
        wakeUp = eventfd(0, Int32(EFD_CLOEXEC.rawValue | EFD_NONBLOCK.rawValue))
        guard wakeUp >= 0 else {
            let code = errno
            close(epoll)
            throw EventLoopError(call: "eventfd", errno: code)
        }
        control(EPOLL_CTL_ADD, wakeUp, EPOLLIN.rawValue)
    }

    deinit {
        close(wakeUp)
        close(epoll)
    }

    /// The descriptor other threads write to: safe from any thread while the loop lives.
    var wakeUpDescriptor: Int32 { wakeUp }

    static func wake(_ descriptor: Int32) {
        var one: UInt64 = 1
        // EAGAIN means that the counter is full, and so that the loop is being woken already.
        unsafe _ = write(descriptor, &one, 8)
    }

    func add(_ descriptor: Int32, _ readiness: Readiness) {
        control(EPOLL_CTL_ADD, descriptor, readiness.epollEvents)
    }

    func modify(_ descriptor: Int32, _ readiness: Readiness) {
        control(EPOLL_CTL_MOD, descriptor, readiness.epollEvents)
    }

    /// Removes a descriptor; one that is closed already has left by itself.
    func remove(_ descriptor: Int32) {
        control(EPOLL_CTL_DEL, descriptor, 0)
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ wanted: UInt32) {
        var event = epoll_event()
        unsafe event.events = wanted
        unsafe event.data.fd = descriptor
        guard unsafe epoll_ctl(epoll, operation, descriptor, &event) != 0 else { return }
        switch (operation, errno) {
        case (EPOLL_CTL_DEL, _): return
        // The number was closed and opened again behind the table's back, or the other way round.
        case (EPOLL_CTL_ADD, EEXIST): unsafe _ = epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event)
        case (EPOLL_CTL_MOD, ENOENT): unsafe _ = epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
        default: return  // A closed descriptor: its owner hears of it from its own next call.
        }
    }

    /// Waits until something is ready, at most `timeout` ms (-1: without end), and calls `body` for each descriptor.
    ///
    /// `EINTR` is retried with the same timeout: the caller computes it anew each turn, so a signal costs at most that.
    mutating func wait(milliseconds timeout: Int32, _ willDispatch: () -> Void, _ body: (Int32, Readiness) -> Void) {
        var count: Int32
        repeat {
            count = unsafe epoll_wait(epoll, &events, Int32(events.count), timeout)
        } while count < 0 && errno == EINTR
        willDispatch()
        for index in 0..<max(0, Int(count)) {
            let descriptor = unsafe events[index].data.fd
            if descriptor == wakeUp {
                var counter: UInt64 = 0
                unsafe _ = read(wakeUp, &counter, 8)
            } else {
                body(descriptor, Readiness(epoll: unsafe events[index].events))
            }
        }
    }
}

/// The kernel refused the loop a descriptor.
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
