internal import EventLoop
internal import HTTPServer
internal import Logging
internal import Postgres
internal import Runtime
internal import Synchronization

/// The dashboard: a server on a thread of its own, and a board on the loop that reads the database.
///
///     let dashboard = DashboardServer(settings, database, on: loop, log: log)
///     async let outcome = dashboard.run()           // until drained
///     guard await dashboard.isListening() else { … }
actor DashboardServer {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let listen: ListenAddress
    private let board: DashboardBoard
    private let gate: Gate
    private let log: Logger
    private lazy var server = makeServer()
    private var listenErrors = LogOnce()

    /// The least time between two log lines about wrong tokens.
    private static let reports = Instant.Duration.seconds(60)

    /// A question to the board.
    private struct Ask: Sendable {
        var reading: DashboardRule.Reading
        var reply: @Sendable (PageAnswer) -> Void
    }

    /// Connects the server's thread with the loop's thread: it holds the rule, and the questions that the rule allows.
    /// The question of a client that disconnects stays, so the number of questions is limited.
    private final class Gate: Sendable {
        private let rule: Mutex<DashboardRule>
        private let born = Instant.now()
        let asks: AsyncStream<Ask>
        private let asked: AsyncStream<Ask>.Continuation

        init(_ rule: DashboardRule) {
            self.rule = Mutex(rule)
            (asks, asked) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(PageServer.limits.connections))
        }

        /// Answers a request, or queues its question. Called on the server's thread.
        func respond(_ request: PageRequest, _ reply: @escaping @Sendable (PageAnswer) -> Void) {
            switch rule.withLock({ $0.decide(request, now: (Instant.now() - born).seconds) }) {
            case .answer(let answer): reply(answer)
            case .read(let reading):
                switch asked.yield(Ask(reading: reading, reply: reply)) {
                case .enqueued: break
                case .dropped, .terminated:
                    reply(PageAnswer(503, "Too many requests wait for the database. Try again in a few seconds."))
                @unknown default: break
                }
            }
        }

        var refused: Int { rule.withLock(\.tokens.refused) }
        func close() { asked.finish() }
    }

    /// - Parameter isRunning: whether the worker of this process claims jobs. Nil without a worker.
    init(
        _ settings: DashboardSettings, _ database: ConnectionSettings, on loop: EventLoop, log: Logger,
        isRunning: (@Sendable () async -> Bool)? = nil
    ) {
        listen = settings.listen
        self.loop = loop
        self.log = log
        board = DashboardBoard(database, host: HostName.own, on: loop, isRunning: isRunning)
        gate = Gate(DashboardRule(settings))
    }

    /// Serves until drained. Returns a failure if it could not listen at the start. After a later failure it tries
    /// again.
    func run() async -> Failure? {
        var failure: Failure?
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [board] in await board.run() }
            group.addTask { [board, gate] in
                for await ask in gate.asks { ask.reply(await board.answer(ask.reading, refusedTokens: gate.refused)) }
            }
            group.addTask { await self.report() }
            failure = await serve()
            gate.close()
            group.cancelAll()
        }
        return failure
    }

    /// Waits until it listens. Returns false if it cannot: then `run` returns.
    func isListening() async -> Bool {
        await server.isListening()
    }

    /// Takes no more connections. `run` returns when the open requests are answered, or after a timeout.
    func drain() async {
        await server.drain()
    }

    private func makeServer() -> RestartingServer {
        let server = PageServer.make(
            listen, setting: SettingName.dashboardListen.rawValue, log: log
        ) { [gate] in gate.respond($0, $1) }
        return RestartingServer(server, on: loop) { [weak self] event in self?.assumeIsolated { $0.server(event) } }
    }

    private func serve() async -> Failure? {
        do throws(ListenFailure) {
            try await server.run()
            return nil
        } catch {
            return Failure(error, "cannot serve the dashboard")
        }
    }

    private func server(_ event: RestartingServer.Event) {
        let trouble: String
        switch event {
        case .listening(let address):
            listenErrors.succeeded()
            return log.notice("the dashboard is at http://\(address)/")
        case .failed(let error): trouble = "\(error)"
        case .ended: trouble = "its socket was closed"
        }
        guard listenErrors.isNew(trouble) else { return }
        log.error("cannot serve the dashboard: trying again", metadata: [LogKeys.error: "\(trouble)"])
    }

    /// Logs the number of wrong tokens, at most once a minute.
    private func report() async {
        var last = 0
        while (try? await loop.sleep(for: Self.reports)) != nil {
            let now = gate.refused
            guard now > last else { continue }
            log.warning(
                "requests to the dashboard had wrong tokens",
                metadata: [
                    LogKeys.count: "\(now - last)",
                    LogKeys.remedy:
                        "Give the readers the value of OTPD_DASHBOARD_TOKEN. If they are strangers, block the port for them.",
                ])
            last = now
        }
    }
}
