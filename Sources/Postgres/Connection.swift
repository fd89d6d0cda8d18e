internal import CLibpq
public import EventLoop
internal import Glibc

/// A NOTIFY on a channel that this connection listens to.
public struct Notification: Sendable, Equatable {
    public var channel: String
    public var payload: String
    /// The process of the session that sent it.
    public var backendPID: Int32
}

/// One open connection to PostgreSQL, on the event loop.
///
/// Calls of different tasks overlap: their statements are pipelined, each in its own transaction, and answered in
/// order. If you open a transaction block with `simple("BEGIN")`, keep other tasks away from the connection. A caller
/// whose task prefers the loop as its executor never leaves the loop's thread.
///
///     let connection = try await Connection.open(settings, on: loop, deadline: .now() + .seconds(10))
///     let result = try await connection.execute(claim, parameters, deadline: .now() + .seconds(5))
public actor Connection {
    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    let handle: Handle
    var machine = PipelineMachine()
    var calls: [RequestID: Call] = [:]
    var actions: [PipelineMachine.Action] = []
    var isPerforming = false
    var isSimpleMode = false
    let binder = Binder()
    /// The PGresult under distribution. A call takes it over, or it is cleared.
    var received: Received?
    var canceller: Helper<Bool>?
    let cancelGrace: Instant.Duration
    /// Why the connection ended.
    public internal(set) var loss: Loss?
    var lastError: ServerError?
    var lostWaiters: [CheckedContinuation<Loss, Never>] = []
    var onNotification: (@Sendable (Notification) -> Void)?
    var onNotice: (@Sendable (ServerError) -> Void)?
    private var serial: UInt64 = 0
    var watcher: Watcher?
    /// Which address of the settings it is connected to.
    nonisolated let address: HostMemory.Address

    init(_ opened: Connector.Opened, on loop: EventLoop, cancelGrace: Instant.Duration) {
        handle = opened.handle
        address = opened.address
        self.loop = loop
        self.cancelGrace = cancelGrace
    }

    // MARK: Opening and closing

    /// Opens a connection. Looks names up off the loop, and tries every address in the order that `hosts` gives, all by
    /// `deadline`.
    ///
    /// - Throws: `.settings`, `.connect` with every address that was tried, `.canceled`.
    public static func open(
        _ settings: ConnectionSettings, on loop: EventLoop, hosts: HostMemory = HostMemory(), deadline: Instant
    ) async throws(PostgresError) -> Connection {
        let opened = try await Connector(on: loop).open(settings, hosts: hosts, deadline: deadline)
        let connection = Connection(opened, on: loop, cancelGrace: settings.cancelGrace)
        await connection.begin()
        return connection
    }

    private func begin() {
        watcher = Watcher { [weak self] readiness in self?.assumeIsolated { $0.socketReady(readiness) } }
        updateInterest()
    }

    /// Ends the connection. Statements on their way fail with `.lost`.
    public func close() {
        if loss == nil { end("otpd closed it") }
    }

    /// Whether the connection has ended.
    public var isLost: Bool { loss != nil }

    /// Waits until the connection has ended, and returns the reason.
    public func whenLost() async -> Loss {
        if let loss { return loss }
        return await withCheckedContinuation { lostWaiters.append($0) }
    }

    // MARK: Statements

    /// Executes one prepared statement in its own transaction (unless in a block), and waits for its commit.
    ///
    /// The first execution on this connection prepares it, in the same round trip. It is prepared once more if the
    /// server reports that its plan is stale or the statement is missing.
    /// - Throws: `.server`, `.lost`, `.deadline`, `.canceled`, `.misuse`.
    public func execute(
        _ statement: Statement, _ parameters: Parameters = Parameters(), deadline: Instant,
        onDeadline: OnDeadline = .drop, onCancellation: OnCancellation = .wait
    ) async throws(PostgresError) -> QueryResult {
        guard parameters.count <= 65535 else { throw .misuse("\(statement.name) has more than 65,535 parameters") }
        guard statement.parameterTypes.isEmpty || statement.parameterTypes.count == parameters.count else {
            throw .misuse(
                "\(statement.name) takes \(statement.parameterTypes.count) parameters and was given \(parameters.count)"
            )
        }
        let call = Call(
            statement: statement, parameters: parameters, deadline: deadline, onDeadline: onDeadline,
            onCancellation: onCancellation)
        let results = try await run(call, .execute(statement.name))
        // The machine completes a statement only after its result was kept.
        guard let result = results.first else { throw .misuse("\(statement.name) returned no result") }
        return result
    }

    /// Executes SQL in the simple protocol: several commands, in text format, in one transaction unless they say
    /// otherwise. Meant for migrations, LISTEN, BEGIN and COMMIT. Waits until the pipeline is empty.
    ///
    /// - Returns: one result per command.
    /// - Throws: as `execute`; the first command that fails fails the call.
    @discardableResult
    public func simple(
        _ sql: String, deadline: Instant, onDeadline: OnDeadline = .drop, onCancellation: OnCancellation = .wait
    ) async throws(PostgresError) -> [QueryResult] {
        guard !sql.utf8.contains(0) else { throw .misuse("the SQL contains a NUL") }
        let call = Call(
            statement: Statement("", sql), parameters: Parameters(), deadline: deadline, onDeadline: onDeadline,
            onCancellation: onCancellation)
        return try await run(call, .simple)
    }

    private func run(_ call: Call, _ kind: PipelineMachine.Kind) async throws(PostgresError) -> [QueryResult] {
        if call.onCancellation != .wait && Task.isCancelled { throw .canceled(.notSent) }
        if call.deadline <= .now() { throw .deadline(.notSent) }
        serial += 1
        let id = RequestID(serial: serial)
        let reply: Call.Reply
        if call.onCancellation == .wait {
            reply = await submit(id, call, kind)
        } else {
            reply = await withTaskCancellationHandler {
                await submit(id, call, kind)
            } onCancel: {
                // Cancellation may come from any thread, so it reaches the actor as a job of the loop.
                Task(executorPreference: loop) { await self.canceled(id) }
            }
        }
        return try reply.get()
    }

    private func submit(_ id: RequestID, _ call: Call, _ kind: PipelineMachine.Kind) async -> Call.Reply {
        await withCheckedContinuation { continuation in
            call.continuation = continuation
            call.timer = loop.schedule(at: call.deadline) { [weak self] in
                self?.assumeIsolated { $0.expired(id) }
            }
            calls[id] = call
            let isCancellable = call.onDeadline == .cancel || call.onCancellation == .cancel
            apply(.submit(.init(id: id, kind: kind, isCancellable: isCancellable)))
        }
    }

    private func expired(_ id: RequestID) {
        guard let call = calls[id] else { return }
        apply(.interrupt(id, .deadline, drop: call.onDeadline == .drop))
    }

    private func canceled(_ id: RequestID) {
        guard let call = calls[id] else { return }
        apply(.interrupt(id, .cancellation, drop: call.onCancellation == .drop))
    }

    // MARK: Notifications and notices

    /// Sets a handler that is called on the loop with every NOTIFY. Set it before LISTEN. It must not block.
    public func onNotification(_ handler: (@Sendable (Notification) -> Void)?) { onNotification = handler }

    /// Sets a handler that is called on the loop with every notice, those of results included. Without one they are
    /// dropped.
    public func onNotice(_ handler: (@Sendable (ServerError) -> Void)?) { onNotice = handler }

    /// The process of this session on the server; 0 when the connection has ended.
    public var backendPID: Int32 { unsafe handle.with { unsafe PQbackendPID($0) } ?? 0 }

    /// Where it leads: host (or directory) and port.
    public var target: String {
        let value: String?? = unsafe handle.with { pointer in
            guard let host = unsafe PQhost(pointer), let port = unsafe PQport(pointer) else { return nil }
            return unsafe "\(String(cString: host)):\(String(cString: port))"
        }
        return (value ?? nil) ?? "closed"
    }

    /// How the connection is protected on its way. Nil when it has ended.
    public var security: ConnectionSecurity? {
        unsafe handle.with { pointer in
            let values = unsafe Conninfo.effective(pointer)
            let host = unsafe PQhost(pointer).map { unsafe String(cString: $0) } ?? ""
            let address = unsafe PQhostaddr(pointer).map { unsafe String(cString: $0) } ?? ""
            return ConnectionSecurity(
                host: host, address: address, hasTLS: unsafe PQsslInUse(pointer) != 0,
                hasGSS: unsafe PQgssEncInUse(pointer) != 0, mode: values["sslmode"] ?? "prefer",
                libpqVersion: PQlibVersion())
        }
    }
}
