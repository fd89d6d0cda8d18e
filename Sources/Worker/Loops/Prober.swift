import EventLoop
import Logging
import Postgres
import Queue
import Runtime

/// Probes the pauses that all workers share. When a probe is due, the first worker to ask releases one held job
/// (`TakeProbe`). The result of that job decides, whichever worker claims it. Confined to the loop.
struct Prober: BackgroundLoop {
    private let core: DispatchCore
    private let pauses: PauseBook
    private let records: ConnectionSource<any PauseDatabase>
    private var errors = LogOnce()

    init(_ core: DispatchCore, _ pauses: PauseBook, _ records: ConnectionSource<any PauseDatabase>) {
        (self.core, self.pauses, self.records) = (core, pauses, records)
    }

    enum Wait: Equatable {
        /// Until a probe may be due.
        case nextProbe
        /// This worker may not probe, or its database did not answer: for a second, and until a probe may be due.
        case retry
    }

    mutating func round() async -> Wait {
        guard pauses.mayProbe else { return .retry }
        do {
            pauses.probed(try await records.connection().takeProbe())
            errors.succeeded()
            return .nextProbe
        } catch {
            if case .server = error, errors.isNew(error) {
                core.log.error("cannot probe pauses; trying again", metadata: .of(error))
            }
            return .retry
        }
    }

    func pause(_ wait: Wait) async {
        if wait == .retry, (try? await core.loop.sleep(for: .seconds(1))) == nil { return }
        await pauses.awaitProbe()
    }
}
