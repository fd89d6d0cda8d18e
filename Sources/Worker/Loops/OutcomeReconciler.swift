import EventLoop
import Logging
import OTP
import Postgres
import Queue
import Runtime
import Twilio

/// Finds out what became of sends whose outcome is unknown: looks for their messages in Twilio's own list, and does what
/// `ResolutionRule` decides.
///
/// Up to ten looks are under way at a time, over connections that nothing else uses (`Worker`). A look that hangs
/// delays no other: its place alone stays taken. The database is asked for more as soon as a look has ended, every 2 s
/// while there is something to look for, else when a look is due by the last heartbeat (`IdleSchedule`; without
/// heartbeats every 20 s), and at once when an outcome of this worker's is unknown. Any worker looks for any job: the
/// one that sent it may be gone.
final class OutcomeReconciler {
    private let core: DispatchCore
    private let maintenance: MaintenanceSchedule
    private let lookups: Lookups
    private let keys: CodeKeys
    private var errors = LogOnce()
    private var said = Said()

    /// `adopt` records a message that Twilio has.
    init(
        _ core: DispatchCore, _ maintenance: MaintenanceSchedule, _ records: ConnectionSource<any LookupDatabase>,
        twilio: any MessageReader, keys: CodeKeys, rule: ResolutionRule,
        adopt: @escaping @Sendable (AcceptedMessage) async -> Void
    ) {
        (self.core, self.maintenance, self.keys) = (core, maintenance, keys)
        lookups = Lookups(records: records, twilio: twilio, rule: rule, log: core.log, adopt: adopt)
    }

    /// Looks under way at a time.
    static let atATime = 10
    /// How long a look is ours: longer than one can take, with what it asks Twilio and what it asks the database, so
    /// that its verdict is still wanted; and not much longer, since where a worker dies with a look in hand its job
    /// waits for that.
    static let lease = Instant.Duration.seconds(25)
    static let busy = Instant.Duration.seconds(2)
    static let idle = Instant.Duration.seconds(20)
    /// How long after the last one it goes on looking every 2 s: longer than any wait between two looks.
    static let active = Instant.Duration.seconds(60)

    /// Resolves until canceled.
    func run() async {
        await withTaskGroup(of: Event.self) { group in
            var activeUntil = Instant.now()
            var (underWay, isTicking) = (0, false)
            while !Task.isCancelled {
                let began = Instant.now()
                let room = Self.atATime - underWay
                maintenance.began(.lookUp)
                do throws(PostgresError) {
                    let jobs = room > 0 ? try await take(room) : []
                    underWay += jobs.count
                    for job in jobs { group.addTask { [lookups] in .ended(await lookups.verdict(on: job)) } }
                    if !jobs.isEmpty { activeUntil = .now() + Self.active }
                    errors.succeeded()
                } catch {
                    if case .server = error, errors.isNew(error) { report(error) }
                }
                if underWay == 0, .now() >= activeUntil {
                    if await maintenance.wait(for: .lookUp, since: began, atMost: Self.idle) {
                        activeUntil = .now() + Self.active
                    }
                    continue
                }
                if !isTicking {
                    isTicking = true
                    group.addTask { [loop = core.loop] in
                        try? await loop.sleep(for: Self.busy)
                        return .tick
                    }
                }
                switch await group.next() {
                case .ended(let verdict)?:
                    underWay -= 1
                    do throws(PostgresError) {
                        try await write(verdict)
                    } catch {
                        // Its lease lapses, and it is looked for again.
                        if case .server = error, errors.isNew(error) { report(error) }
                    }
                case .tick?: isTicking = false
                case nil: break
                }
            }
            group.cancelAll()
        }
    }

    private enum Event: Sendable {
        case ended(LookupResult)
        case tick
    }

    private func report(_ error: PostgresError) {
        core.log.error("unknown outcomes can't be resolved", metadata: [LogKeys.error: "\(error)"])
    }

    private func take(_ limit: Int) async throws(PostgresError) -> [UnknownJob] {
        try await lookups.records.connection().takeUnknown(limit: limit, keys: keys, lease: Self.lease)
    }

    /// Writes what a look came to; what was found has been adopted already.
    private func write(_ verdict: LookupResult) async throws(PostgresError) {
        guard case .ended(let look) = verdict else {
            if let count = said.adopted.count(at: .now()) {
                core.log.notice(
                    "unknown outcomes resolved: Twilio has these messages", metadata: [LogKeys.count: "\(count)"])
            }
            return
        }
        var looks = FinishLookup()
        looks.append(look)
        let written = try await lookups.records.connection().finish(looks)
        if written.resent > 0 {
            core.jobsAreDue()
            if let count = said.resent.count(at: .now()) {
                core.log.warning(
                    "unknown outcomes resolved: Twilio does not have these messages, they are sent again",
                    metadata: [LogKeys.count: "\(count)"])
            }
        }
        if written.failed > 0, let count = said.failed.count(at: .now()) {
            core.log.error(
                "jobs with an unknown outcome failed: Twilio showed no message, and they are not sent again",
                metadata: [LogKeys.count: "\(count)"])
        }
    }

    /// What can happen often is said once a second, with its count.
    private struct Said {
        var adopted = LogThrottle()
        var resent = LogThrottle()
        var failed = LogThrottle()
    }
}
