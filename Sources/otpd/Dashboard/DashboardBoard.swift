internal import EventLoop
internal import HTTPServer
internal import Postgres
internal import Queue

/// Reads the database for all readers of the dashboard, in a read-only session of its own. It reads the status at most
/// once a second, and the limits and each span of the history at most once in 15 seconds. Without readers it reads
/// nothing.
actor DashboardBoard {
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private let session: Session
    private let isRunning: (@Sendable () async -> Bool)?
    /// The machine that serves the page.
    private let host: String
    /// The address of the database, from the last connection.
    private var target = ""
    private var status = Cached<StatusSnapshot>(maxAge: .milliseconds(900))
    /// The last snapshot with limits and refusals. Only these two are used of it.
    private var limits = Cached<StatusSnapshot>(maxAge: .seconds(15))
    /// The histories by span. The one without a span is for the metrics.
    private var histories: [ReadHistory.Span?: Cached<DashboardHistory>] = [:]
    /// Since when the database is unreachable.
    private var awaySince: Instant?

    /// The timeout for one reading with the wait for a connection. A failure is repeated for `failureAge` without
    /// another attempt.
    private static let timeout = Instant.Duration.seconds(3)
    private static let failureAge = Instant.Duration.seconds(1)

    private struct Cached<Value: Sendable> {
        let maxAge: Instant.Duration
        var last: (at: Instant, value: Result<Value, Failure>)?

        func fresh(at now: Instant) -> Result<Value, Failure>? {
            guard let last else { return nil }
            let maxAge = if case .success = last.value { maxAge } else { DashboardBoard.failureAge }
            return now - last.at < maxAge ? last.value : nil
        }
    }

    /// - Parameter isRunning: whether the worker of this process claims jobs. Nil without a worker.
    init(
        _ settings: ConnectionSettings, host: String, on loop: EventLoop, isRunning: (@Sendable () async -> Bool)?
    ) {
        self.loop = loop
        self.host = host
        self.isRunning = isRunning
        session = Session(
            settings, on: loop,
            onConnect: { connection throws(PostgresError) in
                try await SessionSettings.begin(on: connection, deadline: .now() + Self.timeout)
                _ = try await connection.simple(Self.sessionSettings, deadline: .now() + Self.timeout)
            })
    }

    /// The parts of the status that the page does not show.
    private static let unused: Set = ["delivery_status", "outcome_counts"]

    private static let sessionSettings = """
        SET default_transaction_read_only = on;
        SET statement_timeout = '3s';
        SET jit = off
        """

    /// Keeps the session open until canceled.
    func run() async { await session.run() }

    /// The answer to a reading. The metrics include `refusedTokens`.
    func answer(_ reading: DashboardRule.Reading, refusedTokens: Int) async -> PageAnswer {
        switch reading {
        case .status:
            switch await readStatus() {
            case .success(let snapshot):
                return Self.json(DashboardJSON.status(snapshot, host: host, server: target))
            case .failure(let failure): return trouble(failure)
            }
        case .hour, .day:
            switch await readHistory(reading == .day ? .day : .hour) {
            case .success(let history): return Self.json(DashboardJSON.history(history, isDay: reading == .day))
            case .failure(let failure): return trouble(failure)
            }
        case .metrics:
            let snapshot = try? await readStatus().get()
            let history = snapshot == nil ? nil : try? await readHistory(nil).get()
            return PageAnswer(
                200, type: "text/plain; version=0.0.4; charset=utf-8",
                body: Array(Metrics.text(snapshot, history, refusedTokens: refusedTokens).utf8))
        case .readiness(let detailed):
            var reason: String?
            if case .failure(let failure) = await readStatus() {
                reason = "Cannot read the database: \(failure.why)"
            } else if let isRunning, await !isRunning() {
                reason = "The worker claims no jobs: it is paused, stopping, or not connected yet."
            }
            guard let reason else { return PageAnswer(200, "ready") }
            return PageAnswer(503, detailed ? SingleLine.escaped(reason) : "not ready")
        }
    }

    private func readStatus() async -> Result<StatusSnapshot, Failure> {
        if let known = status.fresh(at: .now()) { return known }
        let known = try? limits.fresh(at: .now())?.get()
        var value = await read { connection, deadline throws(PostgresError) in
            let unused = known == nil ? Self.unused : Self.unused.union(ReadStatus.limits)
            return StatusSnapshot(try await ReadStatus.run(on: connection, leavingOut: unused, deadline: deadline))
        }
        if let known {
            value = value.map { snapshot in
                var snapshot = snapshot
                (snapshot.limits, snapshot.refusals) = (known.limits, known.refusals)
                return snapshot
            }
        } else {
            limits.last = (.now(), value)
        }
        status.last = (.now(), value)
        return value
    }

    private func readHistory(_ span: ReadHistory.Span?) async -> Result<DashboardHistory, Failure> {
        if let known = histories[span]?.fresh(at: .now()) { return known }
        let value = await read { connection, deadline throws(PostgresError) in
            DashboardHistory(try await ReadHistory.run(on: connection, span, deadline: deadline))
        }
        histories[span] = Cached(maxAge: .seconds(15), last: (.now(), value))
        return value
    }

    private func read<Value: Sendable>(
        _ body: (Connection, Instant) async throws(PostgresError) -> Value
    ) async -> Result<Value, Failure> {
        let deadline = Instant.now() + Self.timeout
        // While the database is known to be unreachable, readers get the error at once.
        let connected = awaySince == nil ? deadline : .now() + .milliseconds(100)
        do throws(PostgresError) {
            let connection = try await session.connection(deadline: connected)
            target = await connection.target
            let value = try await body(connection, deadline)
            awaySince = nil
            return .success(value)
        } catch {
            awaySince = awaySince ?? .now()
            var cause = error
            // The error of the connection attempt tells more than this one, which only says that there is none.
            if case .connecting(_, let last?) = await session.state { cause = last }
            return .failure(Database.failure("cannot read the status", cause, needs: "otp_monitor"))
        }
    }

    private static func json(_ json: JSON, status: Int = 200) -> PageAnswer {
        PageAnswer(status, type: "application/json", body: Array((json.shown.text + "\n").utf8))
    }

    private func trouble(_ failure: Failure) -> PageAnswer {
        Self.json(
            DashboardJSON.trouble(failure, seconds: awaySince.map { Int((Instant.now() - $0).seconds) } ?? 0),
            status: 503)
    }
}
