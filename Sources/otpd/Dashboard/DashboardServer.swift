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
    private let started: Latch
    private var stop = ServerStop()
    private var port: Int?
    private var isDraining = false

    /// Until it listens again after the listening socket died.
    private static let pause = Instant.Span.seconds(1)
    /// No more often is it said that wrong tokens were shown.
    private static let reports = Instant.Span.seconds(60)

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
        started = Latch(on: loop)
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
        // Whoever waits for it to listen waits no longer.
        started.signal()
        return failure
    }

    /// Waits until it listens; false when it never will, and `run` has returned or is about to.
    func isListening() async -> Bool {
        if port == nil { await started.wait() }
        return port != nil
    }

    /// Takes no more connections; `run` returns once the requests under way are answered, or after a limit.
    func drain() {
        isDraining = true
        stop.signal()
    }

    private func serve() async -> Failure? {
        let server = PageServer(
            host: listen.host, port: Int(listen.port), setting: SettingName.dashboardListen.rawValue, log: log
        ) { [gate] in gate.respond($0, $1) }
        var said: String?
        while !isDraining, !Task.isCancelled {
            let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
            async let heard: Void = listening(ports)
            stop = ServerStop()
            var trouble: ListenFailure?
            do throws(ListenFailure) {
                try await server.run(until: stop) { continuation.yield($0) }
            } catch {
                trouble = error
            }
            continuation.finish()
            await heard
            if isDraining || Task.isCancelled { break }
            if let trouble, port == nil { return Self.failure(trouble) }
            let words = trouble?.description ?? "its socket has ended by itself"
            if said != words {
                said = words
                log.error(
                    "the dashboard can't be served; trying again until it can", metadata: [LogKeys.error: "\(words)"])
            }
            try? await loop.sleep(for: Self.pause)
        }
        return nil
    }

    private func listening(_ ports: AsyncStream<Int>) async {
        for await port in ports {
            self.port = port
            let host = listen.host.contains(":") ? "[\(listen.host)]" : listen.host
            log.notice("the dashboard is at http://\(host):\(port)/")
            started.signal()
        }
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

    private static func failure(_ trouble: ListenFailure) -> Failure {
        let code: ExitCode =
            switch trouble.kind {
            case .unavailable: .unavailable
            case .refused: .refused
            }
        return Failure(code, "Cannot serve the dashboard", because: "\(trouble)")
    }
}
