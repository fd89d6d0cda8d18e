import EventLoop
import Logging
import Postgres
import Queue

/// Beats: writes the worker's row, checks that its session still listens, and hears of the next due job.
///
/// Every 5 s while there is work, every 10 s while idle, and at once when the state changes. Idle, it also finds out for the
/// other loops when they next have something to do (`IdleSchedule`). A heartbeat that fails says
/// that the database is down: claiming stops until the session is back.
struct HeartbeatLoop {
    let dispatcher: Dispatcher
    let claims: Session
    let base: WorkerReport
    let log: Logger
    /// Told what the worker does, in a few words (systemd's STATUS=).
    let onStatus: @Sendable (String) -> Void

    /// What a receiver of callbacks in this process has counted; nil where there is none.
    let callbackCounts: @Sendable () -> CallbackCounts?

    static let busy = Instant.Span.seconds(5)
    static let idle = Instant.Span.seconds(10)
    /// Between two, however often the catalog is said to have changed: any role may NOTIFY.
    static let spacing = Instant.Span.milliseconds(250)

    /// Beats until cancelled.
    func run() async {
        var last: Int64 = -1
        while !Task.isCancelled {
            let began = Instant.now()
            let report = await beat(state: nil)
            let isBusy = report.inFlight > 0 || report.claimed != last
            last = report.claimed
            await dispatcher.awaitBeat(atMost: isBusy ? Self.busy : Self.idle)
            let spaced = began + Self.spacing - Instant.now()
            if spaced > .seconds(0) { try? await dispatcher.loop.sleep(for: spaced) }
        }
    }

    /// Reads texts, senders, error classes, pauses and rates anew, if they have changed.
    private func readCatalog(_ connection: Connection) async {
        guard await dispatcher.takeStaleCatalog() else { return }
        do {
            let rows = try await LoadCatalog.run(on: connection, deadline: .now() + Times.statement)
            await dispatcher.catalog(rows)
            log.notice("texts, senders, error classes, pauses and rates were read anew")
        } catch {
            log.error(
                "texts, senders, error classes, pauses and rates can't be read; trying again",
                metadata: [LogKeys.error: "\(error)"])
            await dispatcher.catalogChanged()
        }
    }

    /// The last beat; not waited for when the database is away.
    func sendFinal() async {
        if await dispatcher.machine.canClaim { await beat(state: .stopped, within: Times.finalBeat) }
    }

    /// One beat, with `state` instead of the dispatcher's where given. What was reported.
    @discardableResult
    func beat(state: WorkerReport.State?, within span: Instant.Span = Times.beat) async -> WorkerReport {
        var report = await dispatcher.report(from: base)
        report.callbacks = callbackCounts()
        if let state { report.state = state }
        if report.state == .stopped { (report.databaseState, report.twilioState) = (nil, nil) }
        guard let worker = await dispatcher.worker else { return report }
        do {
            let connection = try await claims.connection(deadline: .now() + span)
            let start = await dispatcher.scanStart.start(at: .now())
            let isAmongDead = await dispatcher.isAmongDead
            let answer = try await Heartbeat.run(
                on: connection, worker: worker, report, from: start,
                asksNextDue: start != nil || !isAmongDead, isIdle: await dispatcher.isIdle,
                deadline: .now() + span)
            if !answer.isListening, state == nil {
                // LISTEN dies silently; a new session begins with a new LISTEN.
                log.warning("this session no longer listens for new jobs; opening another")
                await connection.close()
            }
            await dispatcher.heard(answer)
            onStatus(report.words)
            await readCatalog(connection)
            await dispatcher.heartbeat(hasError: nil)
        } catch {
            // A lost connection is the session's to report.
            if case .server = error { await dispatcher.heartbeat(hasError: error) }
        }
        return report
    }
}

extension WorkerReport {
    /// One line for a person.
    var words: String {
        let counts = "\(inFlight) in flight; \(accepted) accepted, \(failed) failed, \(unknown) unknown since the start"
        return "\(state.rawValue)\(reason.map { ": \($0)" } ?? ""); \(counts)"
    }
}
