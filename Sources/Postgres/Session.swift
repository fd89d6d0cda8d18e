public import EventLoop

/// The state of a session.
public enum SessionState: Sendable, Equatable {
    /// Without a connection since then. `lastError` is why the last attempt or connection failed.
    case connecting(since: Instant, lastError: PostgresError?)
    case connected
    /// It has ended.
    case closed
}

/// Keeps one connection open. Opens another whenever it is lost, with growing and random waits, until it is canceled.
///
///     let session = Session(settings, on: loop, onConnect: { try await $0.simple("LISTEN jobs", deadline: …) })
///     async let running: Void = session.run()
///     let connection = try await session.connection(deadline: .now() + .seconds(5))
public actor Session {
    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    /// The waits between attempts. Clients notice the end of a failover within the longest wait.
    public static let backoff = ExponentialBackoff(first: .milliseconds(500), longest: .seconds(1))

    private let settings: ConnectionSettings
    private let hosts: HostMemory
    private let backoff: ExponentialBackoff
    private let attemptTimeout: Instant.Duration
    private let random: @Sendable () -> Double
    private let onConnect: @Sendable (Connection) async throws(PostgresError) -> Void
    private let onState: @Sendable (SessionState) -> Void
    private var opened: Connection?
    private var waiters: [UInt64: Waiter] = [:]
    private var serial: UInt64 = 0

    /// Its state.
    public private(set) var state: SessionState {
        didSet { if state != oldValue { onState(state) } }
    }

    private struct Waiter {
        var continuation: CheckedContinuation<Result<Connection, PostgresError>, Never>
        var timer: TimerID
    }

    /// Makes a session that connects once `run()` is called.
    ///
    /// - Parameters:
    /// - hosts: the addresses to try last; the sessions of one program share it.
    /// - attemptTimeout: the time for one whole attempt, name lookups and every address included.
    /// - random: 0..<1, for the jitter.
    /// - onConnect: for LISTEN and checks. The connection is not given out before it returns. If it throws, the attempt
    ///   has failed and the connection is closed.
    /// - onState: called on the loop with each change; must not block.
    public init(
        _ settings: ConnectionSettings, on loop: EventLoop, hosts: HostMemory = HostMemory(),
        attemptTimeout: Instant.Duration = .seconds(15),
        backoff: ExponentialBackoff = Session.backoff,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
        onConnect: @escaping @Sendable (Connection) async throws(PostgresError) -> Void = { _ in },
        onState: @escaping @Sendable (SessionState) -> Void = { _ in }
    ) {
        self.settings = settings
        self.hosts = hosts
        self.loop = loop
        self.attemptTimeout = attemptTimeout
        self.backoff = backoff
        self.random = random
        self.onConnect = onConnect
        self.onState = onState
        state = .connecting(since: .now(), lastError: nil)
    }

    /// Connects, and reconnects whenever the connection is lost, until the task is canceled. Then closes the
    /// connection.
    public func run() async {
        var failures = 0
        while !Task.isCancelled {
            do throws(PostgresError) {
                let connection = try await connect()
                failures = 0
                publish(connection)
                let loss = await untilLost(connection)
                opened = nil
                if loss.isUnanswered { hosts.avoid(connection.address, at: .now()) }
                if !Task.isCancelled { state = .connecting(since: .now(), lastError: .lost(loss)) }
            } catch {
                failures += 1
                if !Task.isCancelled { noteFailure(error) }
            }
            // Waits even after a connection that lasted for a while, because a server that restarts has many clients.
            let pause = backoff.delay(after: max(1, failures), random: random())
            do { try await loop.sleep(for: pause) } catch { break }
        }
        close()
    }

    /// The open connection; nil if there is none.
    public var current: Connection? { opened }

    /// The open connection, or the next one. Waits for it until `deadline`.
    ///
    /// - Throws: `.lost` with the last error if there is none by then or the session has ended; `.canceled`.
    public func connection(deadline: Instant) async throws(PostgresError) -> Connection {
        if let opened { return opened }
        if state == .closed || deadline <= .now() { throw unavailable }
        serial += 1
        let id = serial
        let reply = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let timer = loop.schedule(at: deadline) { [weak self] in
                    self?.assumeIsolated { me in me.give(id, .failure(me.unavailable)) }
                }
                waiters[id] = Waiter(continuation: continuation, timer: timer)
                if Task.isCancelled { give(id, .failure(.canceled(.notSent))) }
            }
        } onCancel: {
            // Cancellation may come from any thread, so it reaches the actor as a job of the loop.
            Task(executorPreference: loop) { await self.give(id, .failure(.canceled(.notSent))) }
        }
        return try reply.get()
    }

    // MARK: The life of a connection

    private func connect() async throws(PostgresError) -> Connection {
        let connection = try await Connection.open(settings, on: loop, hosts: hosts, deadline: .now() + attemptTimeout)
        do throws(PostgresError) {
            try await onConnect(connection)
        } catch {
            switch error {
            case .deadline, .unsuitable: hosts.avoid(connection.address, at: .now())
            case .settings, .connect, .server, .lost, .canceled, .misuse: break
            }
            await connection.close()
            throw error
        }
        return connection
    }

    private func publish(_ connection: Connection) {
        opened = connection
        state = .connected
        for id in waiters.keys.sorted() { give(id, .success(connection)) }
    }

    private func untilLost(_ connection: Connection) async -> Loss {
        await withTaskCancellationHandler {
            await connection.whenLost()
        } onCancel: {
            Task(executorPreference: loop) { await connection.close() }
        }
    }

    private func noteFailure(_ error: PostgresError) {
        switch state {
        case .connecting(let since, _): state = .connecting(since: since, lastError: error)
        case .connected: state = .connecting(since: .now(), lastError: error)
        case .closed: break
        }
    }

    private func close() {
        opened = nil
        state = .closed
        for id in waiters.keys.sorted() { give(id, .failure(unavailable)) }
    }

    private func give(_ id: UInt64, _ reply: Result<Connection, PostgresError>) {
        guard let waiter = waiters.removeValue(forKey: id) else { return }
        loop.cancel(waiter.timer)
        waiter.continuation.resume(returning: reply)
    }

    private var unavailable: PostgresError {
        switch state {
        case .connecting(_, let lastError?):
            .lost(Loss(reason: "there is no connection (\(lastError))", lastError: nil, outcome: .notSent))
        case .connecting(_, nil): .lost(Loss(reason: "there is no connection yet", lastError: nil, outcome: .notSent))
        case .connected: .lost(Loss(reason: "the connection was just made", lastError: nil, outcome: .notSent))
        case .closed: .lost(Loss(reason: "the session has ended", lastError: nil, outcome: .notSent))
        }
    }
}
