import EventLoop
import Logging
import Postgres
import Queue
import Runtime

/// Ends expired jobs and settles jobs whose lease ended (`Sweep`), and marks dead workers (`MarkDead`).
///
/// It sweeps every 2 s while there is work. While idle, it sweeps when the last heartbeat foretold it (`IdleSchedule`):
/// a lease ends, a code expires, or a worker is dead. Without heartbeats, and where only a sweep can tell, it sweeps
/// every 20 s, when the next lease ends, and when the day of a used-up budget is over.
///
/// Once a minute it records the last minute in the history that the dashboard draws (`RecordHistory`), unless another
/// worker has. Every ten minutes it also prunes (`Prune`), a batch a second while there is more. Confined to the loop.
struct Sweeper: BackgroundLoop {
    static let busy = Instant.Duration.seconds(2)
    static let idle = Instant.Duration.seconds(20)
    static let pruning = Instant.Duration.seconds(600)

    private let core: DispatchCore
    private let claimer: Claimer
    private let maintenance: MaintenanceSchedule
    private let records: ConnectionSource<any SweepDatabase>
    private let now: () -> Instant
    private var errors = Errors()
    /// While Twilio is away for hours, each sweep finds expired codes.
    private var expired = LogThrottle(every: .seconds(60))
    private var start = SweepScanStart()
    private var clockJumps = 0
    private var size = SweepSize()
    private var pruneAt: Instant
    private var historyAt: Instant

    init(
        _ core: DispatchCore, _ claimer: Claimer, _ maintenance: MaintenanceSchedule,
        _ records: ConnectionSource<any SweepDatabase>, now: @escaping () -> Instant = Instant.now
    ) {
        (self.core, self.claimer, self.maintenance, self.records) = (core, claimer, maintenance, records)
        self.now = now
        pruneAt = now() + .seconds(60)
        historyAt = now()
    }

    /// By task: the last error that was logged.
    private struct Errors {
        var sweep = LogOnce()
        var dead = LogOnce()
        var history = LogOnce()
        var prune = LogOnce()
    }

    enum Wait: Equatable {
        /// There may be more where this sweep was.
        case none
        case span(Instant.Duration)
        /// Until a sweep is wanted, or due by the schedule, at most for `atMost` from `since` on, and at latest at `by`.
        case wanted(since: Instant, atMost: Instant.Duration, by: Instant)
    }

    /// Every task is tried, even if another one fails.
    mutating func round() async -> Wait {
        let began = now()
        maintenance.began(.sweep)
        let mayHaveDead = maintenance.mayHaveDead
        let swept = await sweep(began)
        if mayHaveDead { await markDead() }
        if now() >= historyAt { await recordHistory() }
        if now() >= pruneAt { await prune() }
        if swept.isFull { return .none }
        if claimer.isBusy || !swept.isIdle { return .span(min(Self.busy, max(swept.next, .milliseconds(1)))) }
        return .wanted(since: began, atMost: swept.next, by: min(pruneAt, historyAt))
    }

    func pause(_ wait: Wait) async {
        switch wait {
        case .none: break
        case .span(let span): try? await core.loop.sleep(for: span)
        case .wanted(let began, let span, let limit):
            await maintenance.wait(for: .sweep, since: began, atMost: span, by: limit)
        }
    }

    // MARK: Tasks

    private typealias Swept = (isFull: Bool, isIdle: Bool, next: Instant.Duration)

    private mutating func sweep(_ began: Instant) async -> Swept {
        var (isFull, isIdle, next) = (false, true, Self.idle)
        do throws(PostgresError) {
            let database = try await records.connection()
            if clockJumps != core.clockJumps { start.forget() }
            clockJumps = core.clockJumps
            let (from, asked) = (start.start(at: began), now())
            isIdle = claimer.isIdle
            let excluded = size.excluded(at: asked)
            let swept: Sweep.Swept
            do throws(PostgresError) {
                swept = try await database.sweep(
                    from: from, isIdle: isIdle, limit: size.limit, excluded: excluded)
            } catch {
                start.forget()
                guard case .server = error else { throw error }
                guard size.refused() else {
                    isFull = true
                    throw error
                }
                (isIdle, next) = (false, Self.busy)
                size.leaveOut(try await database.sweepNext(excluded: excluded), at: now())
                throw error
            }
            isFull = swept.isFull(size.limit)
            size.swept()
            start.swept(from: from, lookedAt: swept.lookedAt, isFull: isFull, took: now() - asked, at: now())
            // A lease ends because a worker crashed. An idle worker sweeps its jobs as soon as a busy one would.
            next = [swept.nextLeaseEnd.map { $0 + .milliseconds(50) }, swept.budgetPauseEnd]
                .compactMap { $0 }.reduce(next, min)
            report(swept)
            errors.sweep.succeeded()
        } catch {
            say("cannot sweep the queue; trying again", error, &errors.sweep)
        }
        return (isFull, isIdle, next)
    }

    private mutating func markDead() async {
        do throws(PostgresError) {
            for worker in try await records.connection().markDead() {
                core.log.warning(
                    "another worker counts as dead: it stopped sending heartbeats",
                    metadata: [
                        LogKeys.worker: "\(worker)",
                        LogKeys.remedy:
                            "Its log says why it ended. If it runs, a lock or a slow database held its heartbeats up, and it counts as alive again with the next one.",
                    ])
            }
            errors.dead.succeeded()
        } catch {
            say("cannot mark dead workers; trying again", error, &errors.dead)
        }
    }

    private mutating func recordHistory() async {
        // If it fails, it is tried again when the next minute is due.
        let began = now()
        historyAt = began + .seconds(60)
        do throws(PostgresError) {
            historyAt = began + (try await records.connection().recordHistory()) + .milliseconds(100)
            errors.history.succeeded()
        } catch {
            say("cannot record the history of the last minute; trying again", error, &errors.history)
        }
    }

    private mutating func prune() async {
        // If it fails, it is tried again after an idle sweep's time.
        pruneAt = now() + Self.idle
        do throws(PostgresError) {
            let hasMore = try await records.connection().prune()
            pruneAt = now() + (hasMore ? .seconds(1) : Self.pruning)
            errors.prune.succeeded()
        } catch {
            say("cannot delete old history; trying again", error, &errors.prune)
        }
    }

    /// Logs a refusal of the database once.
    private func say(_ trouble: Logger.Message, _ error: PostgresError, _ once: inout LogOnce) {
        if case .server = error, once.isNew(error) { core.log.error(trouble, metadata: .of(error)) }
    }

    private mutating func report(_ swept: Sweep.Swept) {
        if swept.lostLeases > 0 {
            maintenance.want(.lookUp)
            core.log.warning(
                "leases ended without a result; the outcome of these sends is unknown",
                metadata: [LogKeys.count: "\(swept.lostLeases)"])
        }
        if swept.expired > 0, let count = expired.count(swept.expired, at: now()) {
            core.log.warning(
                "codes expired before they could be sent",
                metadata: [
                    LogKeys.count: "\(count)",
                    LogKeys.remedy: "otpd status shows what holds jobs, and otp.failures has the last error of each.",
                ])
        }
        if swept.unknownFailed > 0 {
            core.log.warning(
                "failed jobs with an unknown outcome: no worker could look them up at Twilio within two minutes",
                metadata: [LogKeys.count: "\(swept.unknownFailed)"])
        }
    }
}

/// What the sweeper asks of a connection.
protocol SweepDatabase: Sendable {
    func sweep(from start: Int64?, isIdle: Bool, limit: Int, excluded: [Int64]) async throws(PostgresError)
        -> Sweep.Swept
    /// The jobs of which a sweep of one job of a kind would take the first.
    func sweepNext(excluded: [Int64]) async throws(PostgresError) -> [Int64]
    func markDead() async throws(PostgresError) -> [Int64]
    func recordHistory() async throws(PostgresError) -> Instant.Duration
    func prune() async throws(PostgresError) -> Bool
}

extension Connection: SweepDatabase {
    nonisolated func sweep(from start: Int64?, isIdle: Bool, limit: Int, excluded: [Int64])
        async throws(PostgresError) -> Sweep.Swept
    {
        try await Sweep.run(
            on: self, from: start, isIdle: isIdle, limit: limit, excluded: excluded,
            deadline: .now() + Times.statement)
    }

    nonisolated func sweepNext(excluded: [Int64]) async throws(PostgresError) -> [Int64] {
        try await Sweep.next(on: self, excluded: excluded, deadline: .now() + Times.statement)
    }

    nonisolated func markDead() async throws(PostgresError) -> [Int64] {
        try await MarkDead.run(on: self, deadline: .now() + Times.statement)
    }

    nonisolated func recordHistory() async throws(PostgresError) -> Instant.Duration {
        try await RecordHistory.run(on: self, deadline: .now() + Times.statement)
    }

    nonisolated func prune() async throws(PostgresError) -> Bool {
        try await Prune.run(on: self, deadline: .now() + Times.statement)
    }
}
