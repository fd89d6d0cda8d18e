internal import CLinux
internal import Glibc
internal import Synchronization

/// An observer of the loop's turns, called on its thread.
public protocol TurnObserver: AnyObject {
    /// The loop has just returned from `epoll_wait`, however long that took; no descriptor has been handled yet.
    ///
    /// Use it for checks that must detect a stopped process or a suspended machine before anything acts.
    func turnWillBegin(at now: Instant)
    /// Everything that was ready has been handled and no job is waiting; the loop is about to wait.
    func turnWillEnd()
}

/// One thread that waits in epoll. Between two waits it runs descriptors' handlers, timers and Swift jobs.
///
/// It is the `SerialExecutor` of the actors that own libpq's and libcurl's handles, and the `TaskExecutor` of the tasks
/// that drive them. So their calls to each other never leave the thread. (Without the task executor, every resumed
/// continuation crosses the global pool, which takes 18 µs a send.) Unless a member says otherwise, call it on the
/// loop's thread; it traps elsewhere.
///
///     let loop = try EventLoop.start()
///     await Task(executorPreference: loop) { await worker.run() }.value
///     loop.stop()
///
/// `@unchecked Sendable`: `inbox`, `isStopped` and `wakeUpDescriptor` are for any thread. Everything else is touched
/// only on the loop's thread, which `preconditionIsolated()` checks at each entry point.
public final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private let epoll: Epoll
    private var interests = InterestTable()
    private var timers = TimerHeap<() -> Void>()
    private var observers: [any TurnObserver] = []
    private var jobs: [UnownedJob] = []
    private var spareJobs: [UnownedJob] = []
    private var thread: pthread_t?
    private let wakeUpDescriptor: Int32
    private let inbox = Mutex(Inbox())
    private let threadID = Atomic<UInt>(0)

    /// The time, read once a turn and after each long step, so at most a turn old.
    public private(set) var now = Instant.now()

    /// Jobs that reached the loop from other threads since it started. On a healthy hot path this hardly grows.
    public private(set) var foreignJobs = 0

    private struct Inbox {
        var jobs: [UnownedJob] = []
        var isAwake = false
        var isStopping = false
    }

    private init() throws(EventLoopError) {
        epoll = try Epoll()
        wakeUpDescriptor = epoll.wakeUpDescriptor
    }

    /// Starts a loop on its own thread. From any thread.
    public static func start(name: String = "event-loop") throws(EventLoopError) -> EventLoop {
        let loop = try EventLoop()
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(Start(loop: loop, name: name))
        // The thread takes ownership of this retain and releases it when it ends.
        let code = unsafe pthread_create(
            &thread, nil,
            { raw in
                let start = unsafe Unmanaged<Start>.fromOpaque(raw!).takeRetainedValue()
                unsafe prctl_set_name(start.name)
                start.loop.run()
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            unsafe context.release()
            throw EventLoopError(call: "pthread_create", errno: code)
        }
        loop.thread = thread
        return loop
    }

    private final class Start {
        let loop: EventLoop
        let name: String
        init(loop: EventLoop, name: String) {
            self.loop = loop
            self.name = name
        }
    }

    /// Ends the loop after the queued jobs have run, and waits for its thread. From any other thread, once.
    ///
    /// All work on the loop must have ended: a job that arrives later would never run, and traps.
    public func stop() {
        precondition(!isOnLoop, "an event loop can't wait for its own end")
        inbox.withLock { $0.isStopping = true }
        Epoll.wake(wakeUpDescriptor)
        if let thread {
            pthread_join(thread, nil)
            self.thread = nil
        }
    }

    // MARK: Executor

    /// Queues a job; from any thread. From the loop's own thread it takes no lock and no system call.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isOnLoop {
            jobs.append(job)
            return
        }
        let mustWake = inbox.withLock { inbox in
            precondition(!inbox.isStopping, "a job was enqueued on an event loop that has been stopped")
            inbox.jobs.append(job)
            defer { inbox.isAwake = true }
            return !inbox.isAwake
        }
        if mustWake { Epoll.wake(wakeUpDescriptor) }
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(complexEquality: self)
    }

    public func isSameExclusiveExecutionContext(other: EventLoop) -> Bool { self === other }

    public func checkIsolated() {
        precondition(isOnLoop, "this belongs to the event loop's thread")
    }

    /// Needed, because without it `assumeIsolated` inside a handler traps.
    public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    /// Whether the caller is on the loop's thread. From any thread.
    public var isOnLoop: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

    // MARK: Descriptors, timers, turns

    /// Watches `descriptor` from the end of this turn on. Call it again to change `readiness`; `[]` pauses it.
    public func watch(_ descriptor: Int32, for readiness: Readiness, _ handler: any ReadinessHandler) {
        checkIsolated()
        interests.want(descriptor, readiness, handler)
    }

    /// Stops watching `descriptor`. Call it before the descriptor is closed. No handler is called for it afterwards.
    public func unwatch(_ descriptor: Int32) {
        checkIsolated()
        if interests.forget(descriptor) { epoll.remove(descriptor) }
    }

    /// Calls `body` on the loop at `due` or soon after it, never before.
    @discardableResult
    public func schedule(at due: Instant, _ body: @escaping () -> Void) -> TimerID {
        checkIsolated()
        return timers.insert(due: due, body)
    }

    /// Cancels a timer. Does nothing if it has fired.
    public func cancel(_ timer: TimerID) {
        checkIsolated()
        timers.remove(timer)
    }

    /// Adds an observer of turns, held until `removeObserver`.
    public func addObserver(_ observer: any TurnObserver) {
        checkIsolated()
        observers.append(observer)
    }

    /// Removes an observer.
    public func removeObserver(_ observer: any TurnObserver) {
        checkIsolated()
        observers.removeAll { $0 === observer }
    }

    // MARK: The loop

    private func run() {
        threadID.store(UInt(pthread_self()), ordering: .relaxed)
        while true {
            takeInbox()
            runJobs()
            for observer in observers { observer.turnWillEnd() }
            if !takeInbox(), jobs.isEmpty, inbox.withLock({ $0.isStopping }) {
                letGo()
                // The released objects may have queued jobs.
                if jobs.isEmpty { return }
            }
            wait()
            runTimers()
        }
    }

    /// Releases the objects that handlers, timers and observers hold. They often hold the loop itself, which would
    /// never be freed.
    private func letGo() {
        let held = (interests, timers, observers)
        (interests, timers, observers) = (InterestTable(), TimerHeap(), [])
        // Released only after the loop's own collections are in place, because a `deinit` may call the loop.
        withExtendedLifetime(held) {}
    }

    /// Runs the queued jobs, and then the jobs that those queue, one round each. Descriptors and timers get their turn
    /// between.
    private func runJobs() {
        var rounds = 0
        while !jobs.isEmpty, rounds < 64 {
            rounds += 1
            swap(&jobs, &spareJobs)
            for job in spareJobs {
                unsafe job.runSynchronously(
                    isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            }
            spareJobs.removeAll(keepingCapacity: true)
        }
    }

    @discardableResult
    private func takeInbox() -> Bool {
        inbox.withLock { inbox in
            inbox.isAwake = false
            guard !inbox.jobs.isEmpty else { return false }
            foreignJobs += inbox.jobs.count
            jobs.append(contentsOf: inbox.jobs)
            inbox.jobs.removeAll(keepingCapacity: true)
            return true
        }
    }

    private func wait() {
        interests.takeChanges { change in
            switch change {
            case .add(let descriptor, let readiness): epoll.add(descriptor, readiness)
            case .modify(let descriptor, let readiness): epoll.modify(descriptor, readiness)
            }
        }
        let count = epoll.wait(milliseconds: timeout())
        now = .now()
        for observer in observers { observer.turnWillBegin(at: now) }
        for index in 0..<count {
            guard let (descriptor, readiness) = epoll.ready(at: index) else { continue }
            // A handler earlier in this turn may have released it.
            interests.handler(of: descriptor)?.ready(descriptor, readiness)
        }
    }

    private func timeout() -> Int32 {
        if !jobs.isEmpty { return 0 }
        guard let due = timers.nextDue else { return -1 }
        return Int32(clamping: (due - .now()).millisecondsRoundedUp)
    }

    private func runTimers() {
        now = .now()
        while let body = timers.popDue(at: now) { body() }
    }
}
