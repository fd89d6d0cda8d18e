import EventLoop
import Queue

/// What a background loop asks the database for in a round.
enum MaintenanceTask: Int, Sendable, CaseIterable { case sweep, lookUp, poll }

/// When the loops of an idle worker next have something to do: pure, told what each heartbeat found and when a loop
/// begins a round.
///
/// While there is work, heartbeats do not tell the next work, and each loop keeps its own cadence. It does so too when
/// the last heartbeat is too old, because then the database or the session is down.
struct IdleSchedule: Sendable {
    /// How long a heartbeat's findings count: two and a half heartbeats.
    static let validity = Instant.Duration.seconds(25)

    private var heardAt: Instant?
    private var due = [Instant?](repeating: nil, count: MaintenanceTask.allCases.count)
    private var sweepsByCadence = false
    /// Whether a worker may have died that no worker has marked yet.
    private(set) var mayHaveDead = true

    /// A heartbeat was answered; `found` is nil where it did not ask.
    mutating func heard(_ found: Heartbeat.NextWork?, at now: Instant) {
        guard let found else {
            self = IdleSchedule()
            return
        }
        heardAt = now
        // A little later than said: by then the database's clock agrees.
        func at(_ span: Instant.Duration?) -> Instant? { span.map { max(now, now + $0 + .milliseconds(50)) } }
        due[MaintenanceTask.sweep.rawValue] = found.hasDeadWorker ? now : at(found.nextEnd)
        due[MaintenanceTask.lookUp.rawValue] = at(found.nextLookup)
        due[MaintenanceTask.poll.rawValue] = at(found.nextPoll)
        sweepsByCadence = found.needsSweeps
        mayHaveDead = found.hasDeadWorker
    }

    /// A round begins: what was due by now is served by it.
    mutating func began(_ task: MaintenanceTask, at now: Instant) {
        if let instant = due[task.rawValue], instant <= now { due[task.rawValue] = nil }
    }

    /// When the next round is due, where the last began at `began` and the loop's own cadence is `idle`.
    func next(_ task: MaintenanceTask, since began: Instant, atMost idle: Instant.Duration) -> Instant {
        guard let heardAt, !(task == .sweep && sweepsByCadence) else {
            return min(due[task.rawValue] ?? began + idle, began + idle)
        }
        let unheard = max(heardAt + Self.validity, began + idle)
        return min(due[task.rawValue] ?? unheard, unheard)
    }
}
