public import EventLoop
public import HTTPServer
public import Logging
public import OTP
import Postgres
public import Queue
import Runtime
public import Tracing
import Twilio

/// The receiver of Twilio's status callbacks: a server on a thread of its own, and on the loop a writer with a session
/// of its own. Neither waits for the other: a callback is answered even while the database cannot be reached.
///
///     let receiver = CallbackReceiver(configuration, on: loop, log: log)
///     async let outcome: Void = receiver.run()      // until drained
///     guard await receiver.isListening() else { … }
///     await receiver.drain()                        // from a signal
public actor CallbackReceiver {
    /// Where the writer runs.
    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let configuration: ReceiverConfiguration
    private let limits: Limits
    private let log: Logger
    private let tracer: Tracer?
    private let buffer: ReceiptBuffer
    private let reader: CurrentReader
    private lazy var server = makeServer()
    private var listenErrors = LogOnce()
    private let leaving: Latch
    private var refusal: SchemaState?
    private var hasConnected = false
    private var outage = OutageLog<SessionName>()
    private var heartbeat: HeartbeatLoop?

    private enum SessionName { case writer }

    /// The longest that a stop takes. The requests under way may take two seconds of it.
    static let drain = Instant.Duration.seconds(15)

    /// Prepares a receiver; nothing listens yet.
    public init(_ configuration: ReceiverConfiguration, on loop: EventLoop, log: Logger, tracer: Tracer? = nil) {
        self.init(configuration, limits: Limits(), on: loop, log: log, tracer: tracer)
    }

    init(
        _ configuration: ReceiverConfiguration, limits: Limits, on loop: EventLoop, log: Logger, tracer: Tracer? = nil
    ) {
        self.configuration = configuration
        self.limits = limits
        self.loop = loop
        self.log = log
        self.tracer = tracer
        buffer = ReceiptBuffer(capacity: limits.buffered)
        reader = CurrentReader(
            CallbackReader(publicURL: configuration.publicURL, authToken: configuration.authToken))
        leaving = Latch(on: loop)
    }

    /// Receives and writes until drained.
    ///
    /// - Throws: `.listen` when the address can't be listened on at the start; later it tries again. `.schema` when the
    ///   database's schema is not the one this program knows, found at the first connection.
    public func run() async throws(ReceiverFailure) {
        let session = Session(
            configuration.database, on: loop,
            onConnect: { [weak self] connection throws(PostgresError) in try await self?.connected(connection) },
            onState: { [weak self] state in self?.assumeIsolated { $0.session(state) } })
        let writer = Writer(loop: loop, buffer: buffer, session: session, batch: limits.batch, log: log, tracer: tracer)
        let reporter = Reporter(loop: loop, buffer: buffer, log: log)
        heartbeat = configuration.statusRow.map {
            HeartbeatLoop(
                loop: loop,
                row: StatusRow($0, loop: loop, buffer: buffer, session: session, log: log, tracer: tracer))
        }
        var failure: ReceiverFailure?
        await withTaskGroup(of: Void.self) { background in
            background.addTask { await session.run() }
            background.addTask { await reporter.run() }
            if let heartbeat {
                background.addTask {
                    var heartbeat = heartbeat
                    await heartbeat.run()
                }
            }
            failure = await foreground(writer)
            await heartbeat?.sendFinal(.stopped)
            background.cancelAll()
        }
        let counters = buffer.counters
        if counters != Counters() { reporter.report(counters, since: counters) }
        if buffer.waiting > 0 {
            log.error(
                "stopping with unrecorded status callbacks; otpd polls these messages",
                metadata: [LogKeys.count: "\(buffer.waiting)"])
        }
        if let failure { throw failure }
    }

    /// Waits until it listens; false when it never will, and `run` has thrown or is about to.
    public func isListening() async -> Bool {
        await server.isListening()
    }

    /// Checks signatures against another token from now on. Twilio signs with the account's primary token alone.
    public func use(authToken: Secret) {
        reader.value = CallbackReader(publicURL: configuration.publicURL, authToken: authToken)
        log.notice("reloaded Twilio's auth token; status callbacks are checked against it from now on")
    }

    /// The counts since the start; from any thread.
    public nonisolated var counts: CallbackCounts { buffer.counters.reported }

    /// Accepts no further connections. `run` returns once the received callbacks are recorded, or after `drain`'s
    /// limit.
    public func drain() async {
        await server.drain()
        leaving.signal()
    }

    private func foreground(_ writer: Writer) async -> ReceiverFailure? {
        enum Ended {
            case server(ReceiverFailure?)
            case writer, limit
        }
        let buffer = buffer
        return await withTaskGroup(of: Ended.self) { group in
            group.addTask { [self] in .server(await serve()) }
            group.addTask {
                await writer.run()
                return .writer
            }
            group.addTask { [self] in
                await leave()
                return .limit
            }
            var failure: ReceiverFailure?
            while let ended = await group.next() {
                switch ended {
                case .server(let error):
                    failure = error
                    buffer.close()
                    if error == nil { continue }
                case .writer, .limit: break
                }
                break
            }
            group.cancelAll()
            return failure ?? refusal.map { .schema($0) }
        }
    }

    private func makeServer() -> RestartingServer {
        let shared = CallbackConnection.Shared(
            rule: RequestRule(path: reader.value.path, bodyBytes: limits.bodyBytes), reader: reader, buffer: buffer)
        let server = ListeningServer(
            configuration.listen, limits: limits.server, setting: "OTPD_CALLBACK_LISTEN", log: log
        ) { CallbackConnection(shared, limiter: $0) }
        return RestartingServer(server, on: loop) { [weak self] event in self?.assumeIsolated { $0.server(event) } }
    }

    /// Serves until drained; nil then.
    private func serve() async -> ReceiverFailure? {
        do throws(ListenFailure) {
            try await server.run()
            return nil
        } catch {
            return .listen(error)
        }
    }

    private func server(_ event: RestartingServer.Event) {
        switch event {
        case .listening(let address):
            listenErrors.succeeded()
            log.notice("listening for status callbacks", metadata: [LogKeys.address: "\(address)"])
        case .failed(let error):
            guard listenErrors.isNew(error) else { return }
            log.error(
                "cannot receive status callbacks; trying again",
                metadata: [LogKeys.error: "\(error)"])
        case .ended: log.error("the listening socket for status callbacks ended; opening another")
        }
    }

    /// Returns when the receiver must stop, whether or not everything is recorded.
    private func leave() async {
        await leaving.wait()
        await heartbeat?.sendFinal(.draining)
        if refusal == nil { try? await loop.sleep(for: Self.drain) }
    }

    // MARK: The session

    private func connected(_ connection: Connection) async throws(PostgresError) {
        let deadline = Instant.now() + Writer.timeout
        try await QueueSession.begin(
            on: connection, lockTimeout: QueueSession.lockTimeout, deadline: deadline,
            onMismatch: { state in
                guard !hasConnected else { return }
                refusal = state
                leaving.signal()
            })
        hasConnected = true
    }

    private func session(_ state: SessionState) {
        switch outage.news(of: .writer, state) {
        case .connected: log.info("connected to the database (session for status callbacks)")
        case .ended(let error):
            log.info("a connection to the database ended; opening another", metadata: .of(error))
        case .refused(let error):
            guard refusal == nil else { return }
            log.warning(
                "the database refuses this role; status callbacks wait in memory",
                metadata: .of(error))
        case .away(let error):
            guard refusal == nil else { return }
            log.warning(
                "cannot reach the database; status callbacks wait in memory",
                metadata: .of(error))
        case nil: break
        }
    }
}

/// Why a receiver could not begin.
public enum ReceiverFailure: Error, CustomStringConvertible {
    /// The address can't be listened on.
    case listen(ListenFailure)
    /// The database's schema is not the one this program knows.
    case schema(SchemaState)

    public var description: String {
        switch self {
        case .listen(let failure): failure.description
        case .schema(let state): state.message
        }
    }
}
