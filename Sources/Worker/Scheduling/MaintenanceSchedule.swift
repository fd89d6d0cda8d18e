import EventLoop
import Queue

/// When the background loops begin their rounds: by `IdleSchedule`, or at once where a task is wanted. Confined to the
/// loop.
final class MaintenanceSchedule {
    private var schedule = IdleSchedule()
    /// By task: the schedule has changed, or the task is wanted now.
    private let latches: [Latch]
    /// By task: wanted now, whatever the schedule says.
    private var isWanted = [Bool](repeating: false, count: MaintenanceTask.allCases.count)

    init(on loop: EventLoop) { latches = MaintenanceTask.allCases.map { _ in Latch(on: loop) } }

    /// Whether a worker may have died that no worker has marked yet.
    var mayHaveDead: Bool { schedule.mayHaveDead }

    /// A heartbeat was answered.
    func heard(_ nextWork: Heartbeat.NextWork?, at now: Instant) {
        schedule.heard(nextWork, at: now)
        for latch in latches { latch.signal() }
    }

    /// A loop begins a round.
    func began(_ task: MaintenanceTask) { schedule.began(task, at: .now()) }

    /// A task is wanted at once: `poll` after a message was accepted, `lookUp` when an outcome is unknown, here or by the
    /// sweep.
    func want(_ task: MaintenanceTask) {
        isWanted[task.rawValue] = true
        latches[task.rawValue].signal()
    }

    /// Until a task is wanted, or due by the schedule, and at latest at `limit`; whether it was wanted. `began` is when
    /// the loop's last round began, `idle` its own cadence, where no heartbeat told of next work.
    @discardableResult
    func wait(
        for task: MaintenanceTask, since began: Instant, atMost idle: Instant.Duration, by limit: Instant? = nil
    ) async -> Bool {
        while !Task.isCancelled {
            if isWanted[task.rawValue] {
                isWanted[task.rawValue] = false
                return true
            }
            let due = schedule.next(task, since: began, atMost: idle)
            let end = limit.map { min($0, due) } ?? due
            if end <= .now() { return false }
            // A heartbeat moves the schedule: looked at again.
            await latches[task.rawValue].wait(until: end)
        }
        return false
    }
}
