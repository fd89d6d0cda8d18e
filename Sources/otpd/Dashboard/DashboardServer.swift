internal import EventLoop
internal import HTTPServer
internal import Logging
internal import Postgres
internal import Runtime
internal import Synchronization

/// The dashboard: a server on a thread of its own, and on the loop the board that reads the database for it.
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

    /// No more often is it said that wrong tokens were shown.
    private static let reports = Instant.Duration.seconds(60)

    /// A question for the board.
    private struct Ask: Sendable {
        var reading: DashboardRule.Reading
        var reply: @Sendable (PageAnswer) -> Void
    }

    /// Between the server's thread and the loop's: the rule, and the questions that it lets pass. A client that leaves
    /// does not take its question back, so their number has a bound of its own.
    private final class Gate: Sendable {
        private let rule: Mutex<DashboardRule>
        private let born = Instant.now()
        let asks: AsyncStream<Ask>
        private let asked: AsyncStream<Ask>.Continuation

        init(_ rule: DashboardRule) {
            self.rule = Mutex(rule)
            (asks, asked) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(PageServer.limits.connections))
        }

        /// On the server's thread.
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

    /// - Parameter isRunning: whether the worker of this process takes jobs; nil where there is none.
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

    /// Serves until drained; why it could not at the start. Later it tries again.
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

    /// Waits until it listens; false when it never will, and `run` has returned or is about to.
    func isListening() async -> Bool {
        await server.isListening()
    }

    /// Takes no more connections; `run` returns once the requests under way are answered, or after a limit.
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
            return Failure(error, "Cannot serve the dashboard")
        }
    }

    private func server(_ event: RestartingServer.Event) {
        let trouble: String
        switch event {
        case .listening(let address):
            listenErrors.succeeded()
            return log.notice("the dashboard is at http://\(address)/")
        case .failed(let error): trouble = "\(error)"
        case .ended: trouble = "its socket has ended by itself"
        }
        guard listenErrors.isNew(trouble) else { return }
        log.error("the dashboard can't be served; trying again until it can", metadata: [LogKeys.error: "\(trouble)"])
    }

    /// Says that wrong tokens were shown, a line a minute at most.
    private func report() async {
        var last = 0
        while (try? await loop.sleep(for: Self.reports)) != nil {
            let now = gate.refused
            guard now > last else { continue }
            log.warning(
                "the dashboard was asked with wrong tokens",
                metadata: [
                    LogKeys.count: "\(now - last)",
                    LogKeys.remedy:
                        "Give whoever reads it the value of OTPD_DASHBOARD_TOKEN, or keep strangers from the port.",
                ])
            last = now
        }
    }
}
