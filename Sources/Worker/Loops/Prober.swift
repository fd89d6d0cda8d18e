import EventLoop
import Logging
import Postgres
import Queue

/// Probes the pauses that all workers share: whichever worker is first when a probe is due lets one held job go
/// (`TakeProbe`). What becomes of that job, wherever it is claimed, decides.
struct Prober {
    let loop: EventLoop
    let dispatcher: Dispatcher
    let records: Session
    let log: Logger

    /// Where a probe is due and no job is held: a worker that holds one signals, this is for those that stopped first.
    static let idle = Instant.Span.seconds(5)

    /// Probes until cancelled.
    func run() async {
        var errors = LogOnce()
        while !Task.isCancelled {
            await dispatcher.awaitProbe()
            guard await dispatcher.mayProbe else {
                guard (try? await loop.sleep(for: .seconds(1))) != nil else { return }
                continue
            }
            do {
                let connection = try await records.connection(deadline: .now() + Times.statement)
                let taken = try await TakeProbe.run(
                    on: connection, first: PauseMachine.firstProbe, longest: PauseMachine.longestWait,
                    deadline: .now() + Times.statement)
                await dispatcher.probed(taken)
                errors.succeeded()
            } catch {
                if case .server = error, errors.isNew(error) {
                    log.error("pauses can't be probed; trying again", metadata: [LogKeys.error: "\(error)"])
                }
                guard (try? await loop.sleep(for: .seconds(1))) != nil else { return }
            }
        }
    }
}
