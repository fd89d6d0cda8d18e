public import EventLoop
import Glibc
import HTTP
public import Logging
import Mail
import OTP
import Postgres
public import Queue
import Runtime
public import Tracing
public import Twilio

/// The work of one worker process, from the first connection to the last recorded result.
///
/// It has two sessions. One claims, listens and sends heartbeats. The other records results, sweeps and polls.
/// Everything runs on one loop.
///
///     let worker = try Worker(configuration, on: loop, log: log)
///     async let outcome = worker.run()      // until drained
///     await worker.drain()                  // from a signal
public actor Worker {
    /// Where everything runs.
    public nonisolated let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let configuration: WorkerConfiguration
    private let log: Logger
    private let transport: Transport
    private let dispatcher: Dispatcher
    /// Signaled when the worker has to stop: by a drain, or by a schema that this program does not know.
    private let leaving: Latch
    private var refusal: SchemaState?
    private let callbackCounts: @Sendable () -> CallbackCounts?
    private let spanCounts: @Sendable () -> SpanCounts?
    private let onStatus: @Sendable (String) -> Void
    private var outage = OutageLog<SessionName>()
    /// By session: its last connection, and which server that leads to.
    private var servers: [SessionName: (connection: Connection, server: ServerInstance)] = [:]
    /// Which of the database's addresses are tried last, for both sessions.
    private let hosts = HostMemory()

    /// The two sessions.
    private enum SessionName {
        /// Claims, listens and writes heartbeats.
        case claims
        /// Writes results, sweeps and polls.
        case records

        /// The other session.
        var other: SessionName { self == .claims ? .records : .claims }
    }

    /// Prepares a worker; nothing is connected yet.
    ///
    /// - Parameters:
    ///   - tracer: makes its spans; nil without traces.
    ///   - spanCounts: the counts of the process's spans, for one worker of a process.
    ///   - onStatus: told in a few words whenever the worker's state changes, on the loop (systemd's STATUS=).
    /// - Throws: `WorkerFailure.http` or `.mail` when the base URL or libcurl can't be used.
    public init(
        _ configuration: WorkerConfiguration, on loop: EventLoop, log: Logger, tracer: Tracer? = nil,
        spanCounts: @escaping @Sendable () -> SpanCounts? = { nil },
        callbackCounts: @escaping @Sendable () -> CallbackCounts? = { nil },
        onStatus: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(WorkerFailure) {
        self.configuration = configuration
        self.loop = loop
        self.log = log
        self.callbackCounts = callbackCounts
        self.spanCounts = spanCounts
        self.onStatus = onStatus
        leaving = Latch(on: loop)
        if let mail = configuration.mail {
            do { transport = .mail(try Self.mailClient(configuration, on: loop), mail) } catch { throw .mail(error) }
        } else {
            do { transport = try Self.twilio(configuration, on: loop, log: log) } catch { throw .http(error) }
        }
        dispatcher = Dispatcher(configuration, transport, on: loop, log: log, tracer)
    }

    private static func twilio(
        _ configuration: WorkerConfiguration, on loop: EventLoop, log: Logger
    ) throws(HTTPError) -> Transport {
        var limits = HTTPConfiguration()
        limits.totalTimeout = Times.http
        // Each kind has its own share, so that none waits for another: sends, lookups, polls, feedback, risk checks, and
        // a connectivity check.
        limits.maxConnections =
            configuration.maxInFlight + LookupPool.atATime + Poller.atATime + FeedbackMachine.atATime
            + RiskChecks.atATime + 1
        limits.caFile = configuration.caFile
        limits.plainHTTP = configuration.plainHTTP
        limits.userAgent = "otpd/\(configuration.version)"
        let http = try HTTPClient(limits, on: loop)
        let twilio = TwilioReader(
            http: http, baseURL: configuration.twilioBaseURL,
            endpoint: Twilio.Endpoint(accountSID: configuration.credentials.accountSID),
            authorization: Authorization(configuration.credentials.authorization), log: log)
        return .twilio(http, twilio, try endpoints(http, twilio, configuration.credentials))
    }

    private static func mailClient(
        _ configuration: WorkerConfiguration, on loop: EventLoop
    ) throws(MailError) -> MailClient {
        var limits = MailConfiguration()
        // Shorter than a drain, so that a draining worker learns how its mails ended.
        limits.totalTimeout = Times.mail
        limits.maxConnections = configuration.maxInFlight
        limits.caFile = configuration.caFile
        return try MailClient(limits, on: loop)
    }

    /// Works until drained.
    ///
    /// - Throws: `WorkerFailure.schema` when the database's schema is not the one this program knows, found before the
    ///   first claim. If the schema changes later, the worker logs that and waits.
    public func run() async throws(WorkerFailure) {
        await dispatcher.prepare(transport)
        let claims = session(.claims)
        let records = session(.records)
        let identity = HeartbeatLoop.Identity(
            base: WorkerReport(
                host: configuration.host, pid: getpid(), version: configuration.version,
                channels: configuration.channels),
            onStatus: onStatus, callbackCounts: callbackCounts, spanCounts: spanCounts)
        let rule = ResolutionRule(resends: configuration.resendsUnknown)
        await withTaskGroup(of: Void.self) { [dispatcher, transport] background in
            background.addTask { await claims.run() }
            background.addTask { await records.run() }
            background.addTask { await dispatcher.beat(claims, identity) }
            background.addTask { await dispatcher.probe(records) }
            // The work that any worker can do for all jobs is that of Twilio's workers.
            if case .twilio(_, let twilio, _) = transport {
                background.addTask { await dispatcher.sweep(records) }
                background.addTask { await dispatcher.poll(records, twilio) }
                background.addTask { await dispatcher.reconcile(records, twilio, rule) }
                background.addTask { await dispatcher.beginSteps(records) }
                background.addTask { await dispatcher.reviewFraud(records) }
                background.addTask { await dispatcher.giveFeedback(records, twilio) }
                background.addTask { await dispatcher.checkRisks() }
                background.addTask { await dispatcher.recordRisks(records) }
            }
            await foreground(claims, records)
            await dispatcher.sendFinalHeartbeat()
            background.cancelAll()
        }
        await transport.close()
        if let refusal { throw .schema(refusal) }
    }

    /// Stops claiming. `run` returns once the jobs in hand have ended, or after `Times.drain`.
    public func drain() async {
        log.notice("draining: no further claims, finishing the requests under way")
        onStatus("draining: finishing the requests under way")
        await dispatcher.drain()
        leaving.signal()
    }

    /// Uses other credentials of the same account for every request that begins from now on.
    ///
    /// - Throws: `WorkerFailure.http` when they cannot be written into a header. The old ones stay in force then.
    public func use(_ credentials: Credentials) async throws(WorkerFailure) {
        guard case .twilio(let http, let twilio, _) = transport else { return }
        let endpoints: Transport.Endpoints
        do {
            endpoints = try Self.endpoints(http, twilio, credentials)
        } catch {
            throw .http(error)
        }
        twilio.authorization.value = credentials.authorization
        await dispatcher.use(endpoints)
    }

    /// Whether it takes jobs and sends them: connected, neither paused nor draining.
    public func isRunning() async -> Bool { await dispatcher.isRunning }

    /// Sends a probe at once if this worker is paused. The pause ends if its cause is gone.
    public func probeNow() async { await dispatcher.probeNow() }

    private static func endpoints(
        _ http: HTTPClient, _ twilio: TwilioReader, _ credentials: Credentials
    ) throws(HTTPError) -> Transport.Endpoints {
        let authorization = credentials.authorization.withBytes { bytes in (0..<bytes.count).map { bytes[$0] } }
        return Transport.Endpoints(
            messages: try http.endpoint(url: twilio.baseURL + twilio.endpoint.messages, authorization: authorization),
            calls: try http.endpoint(url: twilio.baseURL + twilio.endpoint.calls, authorization: authorization))
    }

    /// Runs the loops that end when the worker has drained, at most for `Times.drain` after it began to.
    private func foreground(_ claims: Session, _ records: Session) async {
        enum Ended { case loop, limit }
        let dispatcher = dispatcher
        await withTaskGroup(of: Ended.self) { group in
            group.addTask {
                await dispatcher.claim(claims)
                return .loop
            }
            group.addTask {
                await dispatcher.record(records)
                return .loop
            }
            group.addTask { [self] in
                await leave()
                return .limit
            }
            var loops = 2
            while loops > 0, let ended = await group.next() {
                switch ended {
                case .loop: loops -= 1
                case .limit: loops = 0
                }
            }
            group.cancelAll()
        }
        let left = await dispatcher.leftOvers
        if left.inFlight + left.unsaved > 0 {
            log.error(
                "stopping with unrecorded results; another worker's sweep will mark these sends unknown",
                metadata: [LogKeys.count: "\(left.inFlight + left.unsaved)"])
        }
    }

    /// Returns when the worker must stop, whether or not it has drained.
    private func leave() async {
        await leaving.wait()
        if refusal == nil { try? await loop.sleep(for: Times.drain) }
    }

    // MARK: Sessions

    private func session(_ name: SessionName) -> Session {
        Session(
            configuration.database, on: loop, hosts: hosts,
            onConnect: { [weak self] connection throws(PostgresError) in
                try await self?.connected(connection, of: name)
            },
            onState: { [weak self] state in
                self?.assumeIsolated { $0.session(name, is: state) }
            })
    }

    /// Runs on each new connection before it is used.
    private func connected(_ connection: Connection, of name: SessionName) async throws(PostgresError) {
        let deadline = Instant.now() + Times.statement
        guard name == .claims else {
            try await WritingSession.begin(on: connection, lockTimeout: QueueSession.lockTimeout, deadline: deadline)
            _ = try await server(of: connection, .records, deadline: deadline)
            return
        }
        let dispatcher = dispatcher
        try await QueueSession.begin(on: connection, deadline: deadline) { state in
            guard await dispatcher.worker == nil else { return }
            refusal = state
            leaving.signal()
        }
        await connection.onNotification { notification in
            dispatcher.assumeIsolated { $0.notified(notification) }
        }
        for moved in try await AdvanceSequences.run(on: connection, deadline: deadline) {
            log.warning(
                "moved a sequence forward that gave out ids in use; was the database restored from a dump?",
                metadata: [
                    LogKeys.reason: "\(moved.sequence) was at \(moved.last), but ids up to \(moved.used) are in use."
                ])
        }
        try await connection.simple(
            "LISTEN \(Claim.channel); LISTEN \(LoadCatalog.channel)", deadline: deadline)
        let server = try await server(of: connection, .claims, deadline: deadline)
        if try await !isRegistered(on: connection, server, deadline: deadline) {
            await dispatcher.registered(as: try await Register.run(on: connection, deadline: deadline))
        }
        await dispatcher.reached(server)
        try await loadCatalog(connection)
    }

    /// Whether this process's worker number is registered on this server.
    private func isRegistered(on connection: Connection, _ server: ServerInstance?, deadline: Instant)
        async throws(PostgresError) -> Bool
    {
        guard let worker = await dispatcher.worker else { return false }
        if server != nil, await dispatcher.server == server { return true }
        return try await Register.isKnown(
            worker, host: configuration.host, pid: getpid(), on: connection, deadline: deadline)
    }

    /// Which server a connection leads to. Both sessions must be on the same one. If the other session is on an older
    /// server, its connection is closed, so that it connects again. If this connection leads to the older server, it is
    /// refused, so that the next address is tried.
    private func server(of connection: Connection, _ name: SessionName, deadline: Instant)
        async throws(PostgresError) -> ServerInstance?
    {
        guard let server = try await ServerInstance.read(on: connection, deadline: deadline) else { return nil }
        if let other = servers[name.other], await !other.connection.isLost, other.server != server {
            guard other.server < server else {
                throw .unsuitable(
                    "\(await connection.target) is not the server that this worker's other session is on, and began before it "
                        + "did: an old primary. Stop it, or let DATABASE_URL name the new one first.")
            }
            await other.connection.close()
        }
        servers[name] = (connection, server)
        return server
    }

    private func loadCatalog(_ connection: Connection) async throws(PostgresError) {
        let rows = try await LoadCatalog.run(on: connection, deadline: .now() + Times.statement)
        await dispatcher.read(rows)
    }

    /// Logs a change of a session's state: one line for each change, and each error once.
    private func session(_ name: SessionName, is state: SessionState) {
        let isUp = state == .connected
        dispatcher.assumeIsolated { name == .claims ? $0.claims(areUp: isUp) : $0.records(areUp: isUp) }
        switch outage.news(of: name, state) {
        case .connected:
            if name == .claims {
                log.notice("connected to the database; listening for jobs")
                onStatus("running")
            } else {
                log.info("connected to the database (session for results)")
            }
        case .ended(let error):
            guard refusal == nil else { return }
            log.info("a connection to the database ended; opening another", metadata: .of(error))
        case .refused(let error):
            guard refusal == nil else { return }
            log.error(
                "the database refuses this role; jobs wait, trying again",
                metadata: [
                    LogKeys.error: "\(error)",
                    LogKeys.remedy: "Run: otpd doctor. It names the missing membership or grant.",
                ])
            onStatus("refused by the database: see otpd doctor")
        case .away(let error):
            guard refusal == nil else { return }
            log.error(
                "cannot reach the database; jobs wait, trying again",
                metadata: .of(error))
            onStatus("waiting for the database")
        case nil: break
        }
    }
}
