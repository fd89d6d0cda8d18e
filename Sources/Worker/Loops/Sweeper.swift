import EventLoop
import Logging
import Postgres
import Queue

/// Ends what nobody else will (`Sweep`), and marks workers that died (`MarkDead`): every 2 s while there is work, else
/// when a lease ends, a code dies or a worker is dead by the last heartbeat (`IdleSchedule`). Every 20 s where there is what only a
/// sweep can tell, and without heartbeats; then too when the next lease ends or the day whose budget is used up.
/// Once a minute it enters the minute into the history that the dashboard draws (`RecordHistory`), if no other worker has.
/// Every ten minutes it also deletes what is older than the database keeps (`Prune`), a batch a second while there is more.
struct Sweeper {
    let loop: EventLoop
    let dispatcher: Dispatcher
    let records: Session
    let log: Logger

    static let busy = Instant.Span.seconds(2)
    static let idle = Instant.Span.seconds(20)
    static let pruning = Instant.Span.seconds(600)

    /// Sweeps until cancelled. Each of its tasks is tried whatever becomes of the others.
    func run() async {
        var errors = Errors()
        var pruneAt = Instant.now() + .seconds(60)
        var historyAt = Instant.now()
        var mark = SweepScanStart()
        var size = SweepSize()
        while !Task.isCancelled {
            var (isFull, isIdle) = (false, true)
            var next = Self.idle
            let began = Instant.now()
            let mayHaveDead = await dispatcher.begin(.sweep)
            await attempt("expired jobs cannot be swept", &errors.sweep) { connection throws(PostgresError) in
                let (start, asked) = (mark.start(at: began), Instant.now())
                isIdle = await dispatcher.isIdle
                let excluded = size.excluded(at: asked)
                let swept: Sweep.Swept
                do throws(PostgresError) {
                    swept = try await Sweep.run(
                        on: connection, from: start, isIdle: isIdle, limit: size.limit, excluded: excluded,
                        deadline: .now() + Times.statement)
                } catch {
                    mark.forget()
                    guard case .server = error else { throw error }
                    guard size.refused() else {
                        isFull = true
                        throw error
                    }
                    (isIdle, next) = (false, Self.busy)
                    let jobs = try await Sweep.next(
                        on: connection, excluded: excluded, deadline: .now() + Times.statement)
                    size.leaveOut(jobs, at: .now())
                    throw error
                }
                isFull = swept.isFull(size.limit)
                size.swept()
                mark.swept(from: start, lookedAt: swept.lookedAt, isFull: isFull, took: .now() - asked, at: .now())
                // A lease that lapses is somebody's crash: its jobs wait for no slower a sweep than a busy worker's.
                next = [swept.nextLeaseEnd.map { $0 + .milliseconds(50) }, swept.budgetPauseEnd]
                    .compactMap { $0 }.reduce(next, min)
                await report(swept)
            }
            if mayHaveDead {
                await attempt("dead workers cannot be marked", &errors.dead) { connection throws(PostgresError) in
                    for worker in try await MarkDead.run(on: connection, deadline: .now() + Times.statement) {
                        log.warning(
                            "another worker is dead: its heartbeats ended", metadata: [LogKeys.worker: "\(worker)"])
                    }
                }
            }
            if Instant.now() >= historyAt {
                // Failed, it is tried when the next is due.
                historyAt = .now() + .seconds(60)
                await attempt("the history cannot be recorded", &errors.history) { connection throws(PostgresError) in
                    historyAt =
                        .now() + (try await RecordHistory.run(on: connection, deadline: .now() + Times.statement))
                        + .milliseconds(100)
                }
            }
            if Instant.now() >= pruneAt {
                // What could not be done is due no sooner than a sweep.
                pruneAt = .now() + Self.idle
                await attempt("old history cannot be deleted", &errors.prune) { connection throws(PostgresError) in
                    let hasMore = try await Prune.run(on: connection, deadline: .now() + Times.statement)
                    pruneAt = .now() + (hasMore ? .seconds(1) : Self.pruning)
                }
            }
            if isFull { continue }
            let isBusy = await dispatcher.isBusy
            if isBusy || !isIdle {
                guard (try? await loop.sleep(for: min(Self.busy, max(next, .milliseconds(1))))) != nil else { return }
            } else {
                await dispatcher.awaitTask(.sweep, since: began, atMost: next, by: min(pruneAt, historyAt))
            }
        }
    }

    /// By task: the last error that was said.
    private struct Errors {
        var sweep = LogOnce()
        var dead = LogOnce()
        var history = LogOnce()
        var prune = LogOnce()
    }

    /// Performs a task; what the database refuses is said once.
    private func attempt(
        _ trouble: Logger.Message, _ errors: inout LogOnce, _ task: (Connection) async throws(PostgresError) -> Void
    ) async {
        do throws(PostgresError) {
            try await task(try await records.connection(deadline: .now() + Times.statement))
            errors.succeeded()
        } catch {
            if case .server = error, errors.isNew(error) {
                log.error(trouble, metadata: [LogKeys.error: "\(error)"])
            }
        }
    }

    private func report(_ swept: Sweep.Swept) async {
        if swept.lostLeases > 0 {
            await dispatcher.outcomeUnknown()
            log.warning(
                "jobs whose worker stopped in the middle: what became of them is unknown",
                metadata: [LogKeys.count: "\(swept.lostLeases)"])
        }
        if swept.expired > 0 {
            log.warning("codes expired before they could be sent", metadata: [LogKeys.count: "\(swept.expired)"])
        }
        if swept.unknownFailed > 0 {
            log.warning(
                "sends whose outcome stayed unknown: no worker could look for them at Twilio within two minutes",
                metadata: [LogKeys.count: "\(swept.unknownFailed)"])
        }
    }
}
