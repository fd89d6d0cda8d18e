import EventLoop
import Logging
import Postgres
import Queue

/// Ends what nobody else will (`Sweep`), and marks workers that died (`MarkDead`): every 2 s while there is work, else
/// when a lease ends, a code dies or a worker is dead by the last heartbeat (`Agenda`). Every 20 s where there is what only a
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

    /// Sweeps until cancelled.
    func run() async {
        var quiet = QuietErrors()
        var pruneAt = Instant.now() + .seconds(60)
        var historyAt = Instant.now()
        var mark = SweepMark()
        while !Task.isCancelled {
            var (isFull, isIdle) = (false, true)
            var next = Self.idle
            let began = Instant.now()
            let mayHaveDead = await dispatcher.begin(.sweep)
            do {
                let connection = try await records.connection(deadline: .now() + Times.statement)
                let (start, asked) = (mark.start(at: began), Instant.now())
                isIdle = await dispatcher.isIdle
                let swept = try await Sweep.run(
                    on: connection, from: start, isIdle: isIdle, deadline: .now() + Times.statement)
                isFull = swept.isFull
                mark.swept(from: start, lookedAt: swept.lookedAt, isFull: isFull, took: .now() - asked, at: .now())
                // A lease that lapses is somebody's crash: its jobs wait for no slower a sweep than a busy worker's.
                next = [swept.nextLeaseEnd.map { $0 + .milliseconds(50) }, swept.budgetPauseEnd]
                    .compactMap { $0 }.reduce(next, min)
                await report(swept)
                let dead = mayHaveDead ? try await MarkDead.run(on: connection, deadline: .now() + Times.statement) : []
                for worker in dead {
                    log.warning("another worker is dead: its heartbeats ended", metadata: [LogKeys.worker: "\(worker)"])
                }
                if Instant.now() >= historyAt {
                    // Failed, it is tried when the next is due.
                    historyAt = .now() + .seconds(60)
                    historyAt =
                        .now() + (try await RecordHistory.run(on: connection, deadline: .now() + Times.statement))
                        + .milliseconds(100)
                }
                if Instant.now() >= pruneAt {
                    pruneAt = .now() + Self.pruning
                    let hasMore = try await Prune.run(on: connection, deadline: .now() + Times.statement)
                    if hasMore { pruneAt = .now() + .seconds(1) }
                }
                quiet.succeeded()
            } catch {
                mark.forget()
                if case .server = error, quiet.isNew(error) {
                    log.error(
                        "expired jobs and old history can't be cleared away", metadata: [LogKeys.error: "\(error)"])
                }
                // What could not be done is due no sooner than a sweep.
                let later = Instant.now() + Self.idle
                (pruneAt, historyAt) = (max(pruneAt, later), max(historyAt, later))
            }
            if isFull { continue }
            let isBusy = await dispatcher.isBusy
            if isBusy || !isIdle {
                guard (try? await loop.sleep(for: min(Self.busy, max(next, .milliseconds(1))))) != nil else { return }
            } else {
                await dispatcher.awaitErrand(.sweep, since: began, atMost: next, by: min(pruneAt, historyAt))
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
