import EventLoop
import Logging
import Postgres
import Queue
import Runtime

/// Settles sends whose outcome is unknown: looks for their messages in Twilio's list, and does what `ResolutionRule`
/// decides.
///
/// Up to ten lookups are under way at a time (`LookupPool`). The database is asked for more as soon as a lookup has
/// ended, every 2 s while there is something to look for, else when a lookup is due by the last heartbeat
/// (`IdleSchedule`; without heartbeats every 20 s), and at once when a send of this worker has an unknown outcome. Any
/// worker looks for any job, because the worker that sent it may be gone. Confined to the loop.
final class OutcomeReconciler: BackgroundLoop {
    /// How long a lookup is this worker's. It is longer than a lookup can take with all its requests and statements, so
    /// that its result still counts. It is not much longer, because a job waits this long when its worker dies during
    /// the lookup.
    static let lease = Instant.Duration.seconds(25)
    static let busy = Instant.Duration.seconds(2)
    static let idle = Instant.Duration.seconds(20)
    /// How long it asks every 2 s after the last lookup: longer than any wait between two lookups of a job.
    static let active = Instant.Duration.seconds(60)

    private let core: DispatchCore
    private let maintenance: MaintenanceSchedule
    private let records: ConnectionSource<any LookupDatabase>
    private let lookups: LookupPool
    private let keys: CodeKeys
    private var activeUntil = Instant.now()
    private var errors = LogOnce()
    private var said = Said()

    init(
        _ core: DispatchCore, _ maintenance: MaintenanceSchedule, _ records: ConnectionSource<any LookupDatabase>,
        _ lookups: LookupPool, keys: CodeKeys
    ) {
        (self.core, self.maintenance, self.records) = (core, maintenance, records)
        (self.lookups, self.keys) = (lookups, keys)
    }

    enum Wait: Equatable {
        /// Until a lookup has ended, at most for `busy`.
        case busy
        /// Until a lookup is wanted, or due by the schedule; at most for `idle` from `since` on.
        case wanted(since: Instant)
    }

    /// Writes the results of lookups that have ended, and begins as many as there is room for.
    func round() async -> Wait {
        let began = Instant.now()
        maintenance.began(.lookUp)
        for result in lookups.takeEnded() {
            // A job whose result could not be written is looked up again, once this lookup's lease has ended.
            await attempt { () throws(PostgresError) in try await write(result) }
        }
        if await attempt({ () throws(PostgresError) in try await begin() }) { errors.succeeded() }
        return lookups.underWay == 0 && .now() >= activeUntil ? .wanted(since: began) : .busy
    }

    func pause(_ wait: Wait) async {
        switch wait {
        case .busy: await lookups.hasEnded.wait(until: .now() + Self.busy)
        case .wanted(let began):
            if await maintenance.wait(for: .lookUp, since: began, atMost: Self.idle) {
                activeUntil = .now() + Self.active
            }
        }
    }

    /// Begins lookups of jobs that are due.
    private func begin() async throws(PostgresError) {
        let room = LookupPool.atATime - lookups.underWay
        guard room > 0 else { return }
        let jobs = try await records.connection().takeUnknown(limit: room, keys: keys, lease: Self.lease)
        for job in jobs { lookups.begin(job) }
        if !jobs.isEmpty { activeUntil = .now() + Self.active }
    }

    /// Whether the database did it. A refusal is logged once, and the session logs a lost connection.
    @discardableResult
    private func attempt(_ body: () async throws(PostgresError) -> Void) async -> Bool {
        do {
            try await body()
            return true
        } catch {
            if case .server = error, errors.isNew(error) {
                core.log.error("cannot settle unknown outcomes; trying again", metadata: .of(error))
            }
            return false
        }
    }

    /// Writes the result of a lookup. A message that was found has been adopted already.
    private func write(_ verdict: LookupResult) async throws(PostgresError) {
        guard case .ended(let lookup) = verdict else {
            if let count = said.adopted.count(at: .now()) {
                core.log.notice(
                    "settled unknown outcomes: Twilio has these messages", metadata: [LogKeys.count: "\(count)"])
            }
            return
        }
        var lookups = FinishLookup()
        lookups.append(lookup)
        let written = try await records.connection().finish(lookups)
        if written.resent > 0 {
            core.jobsAreDue()
            if let count = said.resent.count(at: .now()) {
                core.log.warning(
                    "settled unknown outcomes: Twilio does not have these messages, sending them again",
                    metadata: [LogKeys.count: "\(count)"])
            }
        }
        if written.failed > 0, let count = said.failed.count(at: .now()) {
            core.log.error(
                "failed jobs with an unknown outcome: Twilio shows no message, and they are not sent again",
                metadata: [LogKeys.count: "\(count)"])
        }
    }

    /// Frequent events are logged once a second, with their count.
    private struct Said {
        var adopted = LogThrottle()
        var resent = LogThrottle()
        var failed = LogThrottle()
    }
}
