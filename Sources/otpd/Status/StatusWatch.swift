internal import EventLoop
internal import Glibc
internal import Postgres
internal import Queue

/// `otpd status --watch`: reads the status in intervals on one connection, and shows it on the whole terminal. Without
/// a terminal it writes one line each time. If the database is unreachable, it continues and marks the figures as old.
actor StatusWatch {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// The signals that it handles. They are blocked before another thread starts.
    static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT]
    /// The timeout for one reading with the wait for a connection.
    private static let timeout = Instant.Duration.seconds(5)

    private let settings: ConnectionSettings
    private let interval: Instant.Duration
    private let screen: Screen?
    private let colour: Bool
    private let ended: Latch
    private var view: StatusView
    /// Since when the database is unreachable, and why.
    private var trouble: (since: Instant, words: String)?
    /// When the figures were read.
    private var readAt: Instant?
    /// An error that another attempt does not mend, such as a refusal. It ends the watch.
    private var failure: Failure?

    init(_ settings: ConnectionSettings, interval: Double, on loop: EventLoop) {
        self.settings = settings
        self.loop = loop
        self.interval = Instant.Duration(seconds: interval)
        screen = Terminal.isScreen ? Screen() : nil
        colour = Terminal.isColoured
        ended = Latch(on: loop)
        view = StatusView(interval: interval)
    }

    /// Runs until `q`, SIGINT or SIGTERM, or until the reader of its output has gone.
    func run() async throws(Failure) {
        do throws(EventLoopError) {
            try Signals.watch(Self.signals, on: loop) { [weak self] signal in
                self?.assumeIsolated { $0.received(signal) }
            }
        } catch {
            throw Failure(.internalError, "cannot watch the status", because: "\(error)")
        }
        if let screen {
            screen.enter()
            if screen.hasKeys {
                loop.watch(0, for: .read, Keys { [weak self] key in self?.assumeIsolated { $0.pressed(key) } })
            }
        }
        let session = Session(
            settings, on: loop,
            onConnect: { [weak self] connection throws(PostgresError) in
                try await SessionSettings.begin(on: connection, deadline: .now() + Database.timeout)
                await self?.connected(to: "\(connection.target)")
            },
            onState: { [weak self] state in self?.assumeIsolated { $0.connection(is: state) } })
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await session.run() }
            group.addTask { await self.refresh(session) }
            await ended.wait()
            group.cancelAll()
        }
        if let screen {
            if screen.hasKeys { loop.unwatch(0) }
            screen.leave()
        }
        if let failure { throw failure }
    }

    // MARK: Reading

    private func connected(to target: String) { view.database = target }

    /// Shows the first failed attempt at once, before the reading's timeout is over.
    private func connection(is state: SessionState) {
        guard case .connecting(let since, let error?) = state else { return }
        let isNew = trouble == nil
        trouble = (trouble?.since ?? since, Database.failure("", error).why)
        if isNew { show(isNew: true) }
    }

    private func refresh(_ session: Session) async {
        show()
        while !Task.isCancelled {
            let began = Instant.now()
            do throws(PostgresError) {
                let connection = try await session.connection(deadline: began + Self.timeout)
                let snapshot = StatusSnapshot(try await ReadStatus.run(on: connection, deadline: began + Self.timeout))
                trouble = nil
                readAt = .now()
                view.snapshot = snapshot
                view.history.add(snapshot)
            } catch {
                if Task.isCancelled { return }
                let why = Database.failure("cannot read the status", error, needs: "otp_monitor")
                if why.exitCode != .unavailable {
                    failure = why
                    return ended.signal()
                }
                // The error of the connection attempt tells more than this one, which only says that there is none.
                trouble = trouble ?? (began, why.why)
            }
            show(isNew: true)
            // The next reading begins one interval after this one, and at least a second after a failure.
            let due = began + interval
            try? await loop.sleep(for: max(due - .now(), trouble == nil ? .milliseconds(50) : .seconds(1)))
        }
    }

    // MARK: Showing

    private func show(isNew: Bool = false) {
        var view = view
        view.trouble = trouble.map { ($0.words, Int((Instant.now() - $0.since).seconds)) }
        view.age = readAt.map { Int((Instant.now() - $0).seconds) }
        if let screen {
            let size = Terminal.size() ?? (80, 24)
            if !screen.show(view.lines(width: size.columns, height: size.rows), colour: colour) { ended.signal() }
        } else if isNew, !Output.line("\(Timestamp.now()) \(view.line())") {
            ended.signal()
        }
    }

    private func received(_ signal: Int32) {
        switch signal {
        case SIGWINCH: show()
        case SIGTSTP:
            // The shell gets its screen back while this process is stopped. Other threads may run for a moment after
            // the kill, so only SIGCONT shows the screen again.
            screen?.leave()
            kill(getpid(), SIGSTOP)
        case SIGCONT:
            screen?.enter()
            show()
        default: ended.signal()
        }
    }

    private func pressed(_ key: UInt8?) {
        switch key {
        case nil, UInt8(ascii: "q"), UInt8(ascii: "Q"), 3, 4: ended.signal()
        case .some: break
        }
    }

    /// Reads the typed keys. It passes nil when the terminal is closed.
    private final class Keys: ReadinessHandler {
        private let onKey: (UInt8?) -> Void
        init(_ onKey: @escaping (UInt8?) -> Void) { self.onKey = onKey }

        func ready(_ descriptor: Int32, _ readiness: Readiness) {
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                for byte in bytes.prefix(count) { onKey(byte) }
            } else if count == 0 || errno != EINTR && errno != EAGAIN {
                onKey(nil)
            }
        }
    }
}
