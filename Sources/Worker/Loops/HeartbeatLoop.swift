import EventLoop
import Logging
import Postgres
import Queue
import Runtime
import Tracing

/// Sends heartbeats: writes the worker's row, checks that its session still listens, and learns of the next due job.
///
/// Every 5 s while there is work, every 10 s while idle, and at once when the state changes. Idle, it also finds out
/// for the other loops when they next have something to do (`IdleSchedule`). While heartbeats fail, nothing is claimed.
/// Confined to the loop.
final class HeartbeatLoop: BackgroundLoop {
    static let busy = Instant.Duration.seconds(5)
    static let idle = Instant.Duration.seconds(10)
    /// The shortest time between two heartbeats. Any role may NOTIFY that the catalog has changed, as often as it
    /// likes.
    static let spacing = Instant.Duration.milliseconds(250)

    /// The worker's identity, and what it exchanges with its process.
    struct Identity: Sendable {
        /// Host, process and version.
        let base: WorkerReport
        /// Receives the worker's state in a few words (systemd's STATUS=).
        let onStatus: @Sendable (String) -> Void
        /// The counts of a receiver in this process; nil if there is none.
        let callbackCounts: @Sendable () -> CallbackCounts?
        /// The counts of this process's spans; nil without traces, and for all workers of a process but one.
        var spanCounts: @Sendable () -> SpanCounts? = { nil }
    }

    private let core: DispatchCore
    private let claimer: Claimer
    private let catalog: Catalog
    private let status: StatusReport
    private let claims: ConnectionSource<any HeartbeatDatabase>
    private let identity: Identity
    /// Receives the reply to each heartbeat.
    private let heard: (Heartbeat.Reply) -> Void
    /// Receives the catalog after each reading.
    private let read: (LoadCatalog.Rows) -> Void
    private var errors = LogOnce()
    private var clock = DatabaseClock()
    /// Jobs claimed by the last heartbeat.
    private var claimed: Int64 = -1

    init(
        _ core: DispatchCore, _ claimer: Claimer, _ catalog: Catalog, _ status: StatusReport,
        _ claims: ConnectionSource<any HeartbeatDatabase>, _ identity: Identity,
        heard: @escaping (Heartbeat.Reply) -> Void, read: @escaping (LoadCatalog.Rows) -> Void
    ) {
        (self.core, self.claimer, self.catalog, self.status) = (core, claimer, catalog, status)
        (self.claims, self.identity, self.heard, self.read) = (claims, identity, heard, read)
    }

    /// When a heartbeat began, and how soon the next comes unless the state changes.
    struct Wait: Equatable {
        var began: Instant
        var atMost: Instant.Duration
    }

    func round() async -> Wait {
        let began = Instant.now()
        let report = await beat(state: nil)
        let isBusy = report.inFlight > 0 || report.claimed != claimed
        claimed = report.claimed
        return Wait(began: began, atMost: isBusy ? Self.busy : Self.idle)
    }

    func pause(_ wait: Wait) async {
        await core.statusChanged.wait(until: .now() + wait.atMost)
        let spaced = wait.began + Self.spacing - Instant.now()
        if spaced > .seconds(0) { try? await core.loop.sleep(for: spaced) }
    }

    /// The last heartbeat. Without a connection it is skipped.
    func sendFinal() async {
        if core.machine.database.canClaim { await beat(state: .stopped, within: Times.finalBeat) }
    }

    /// One heartbeat, with `state` instead of the dispatcher's where given. Returns what was reported.
    @discardableResult
    func beat(state: WorkerReport.State?, within span: Instant.Duration = Times.beat) async -> WorkerReport {
        var report = status.make(from: identity.base)
        report.callbacks = identity.callbackCounts()
        report.spans = identity.spanCounts()
        if let state { report.state = state }
        if report.state == .stopped { (report.databaseState, report.twilioState, report.mailState) = (nil, nil, nil) }
        guard let worker = core.worker else { return report }
        do {
            let connection = try await claims.connection(within: span)
            let asked = Instant.now()
            let start = claimer.scanStart.start(at: asked)
            let answer = try await connection.beat(
                report, worker: worker, from: start, asksNextDue: start != nil || !claimer.isAmongDead,
                isIdle: claimer.isIdle, within: span)
            if !answer.isListening, state == nil {
                // LISTEN can be lost without an error. A new session begins with a new LISTEN.
                core.log.warning("this session no longer listens for jobs; opening another")
                await connection.close()
            }
            if let jump = clock.read(answer.clock, asked: asked, answered: .now()) { jumped(jump) }
            heard(answer)
            identity.onStatus(report.words)
            await readCatalog(connection)
            ended(error: nil)
        } catch {
            // The session logs a lost connection.
            if case .server = error { ended(error: error) }
        }
        return report
    }

    /// The database's clock jumped. What was known by it about due jobs is forgotten.
    private func jumped(_ span: Instant.Duration) {
        core.clockJumps += 1
        core.log.warning(
            "the database's clock jumped",
            metadata: [
                LogKeys.seconds: "\(span.nanoseconds / 1_000_000_000)",
                LogKeys.remedy:
                    "Check the time synchronization of the database's hosts. A code that was requested before expires that much sooner if the clock went ahead, and later if it went back.",
            ])
    }

    /// Reloads templates, senders, error classes, pauses and rates, if they have changed.
    private func readCatalog(_ database: any HeartbeatDatabase) async {
        guard catalog.takeStale() else { return }
        do {
            read(try await database.loadCatalog())
            core.log.notice("reloaded templates, senders, error classes, pauses and rates")
        } catch {
            // The session logs a lost connection.
            if case .server = error {
                core.log.error(
                    "cannot read templates, senders, error classes, pauses and rates; trying again",
                    metadata: .of(error))
            }
            catalog.changed()
        }
    }

    /// A heartbeat was written, or failed. An error is logged once, and nothing is claimed while heartbeats fail.
    private func ended(error: PostgresError?) {
        core.machine.database.isHeard = error == nil
        if let error, errors.isNew(error) {
            core.log.error(
                "cannot write the heartbeat; nothing is claimed until it succeeds",
                metadata: .of(error))
        }
        if error == nil { errors.succeeded() }
        core.claimsMayGo.signal()
    }
}

extension WorkerReport {
    /// One line for a person.
    fileprivate var words: String {
        let counts = "\(inFlight) in flight; \(accepted) accepted, \(failed) failed, \(unknown) unknown since the start"
        return "\(state.rawValue)\(reason.map { ": \($0)" } ?? ""); \(counts)"
    }
}

/// What a heartbeat asks of a connection.
protocol HeartbeatDatabase: Sendable {
    func beat(
        _ report: WorkerReport, worker: Int64, from start: Int64?, asksNextDue: Bool, isIdle: Bool,
        within span: Instant.Duration
    ) async throws(PostgresError) -> Heartbeat.Reply
    func loadCatalog() async throws(PostgresError) -> LoadCatalog.Rows
    func close() async
}

extension Connection: HeartbeatDatabase {
    nonisolated func beat(
        _ report: WorkerReport, worker: Int64, from start: Int64?, asksNextDue: Bool, isIdle: Bool,
        within span: Instant.Duration
    ) async throws(PostgresError) -> Heartbeat.Reply {
        try await Heartbeat.run(
            on: self, worker: worker, report, from: start, asksNextDue: asksNextDue, isIdle: isIdle,
            deadline: .now() + span)
    }

    nonisolated func loadCatalog() async throws(PostgresError) -> LoadCatalog.Rows {
        try await LoadCatalog.run(on: self, deadline: .now() + Times.statement)
    }
}
