import EventLoop
import Queue
import Testing

@testable import Worker

@Suite struct MaintenanceScheduleTests {
    @Test("a task that is wanted begins at once, and once", arguments: MaintenanceTask.allCases)
    func wanted(_ task: MaintenanceTask) async throws {
        try await onLoop { loop in
            let maintenance = MaintenanceSchedule(on: loop)
            maintenance.want(task)
            maintenance.want(task)
            #expect(await maintenance.wait(for: task, since: .now(), atMost: .seconds(60)))
            #expect(await !maintenance.wait(for: task, since: .now(), atMost: .seconds(0)))
        }
    }

    @Test("one that is due by a heartbeat's findings is not waited for")
    func due() async throws {
        try await onLoop { loop in
            let maintenance = MaintenanceSchedule(on: loop)
            let now = Instant.now()
            maintenance.heard(Heartbeat.NextWork(hasDeadWorker: true), at: now)
            #expect(await !maintenance.wait(for: .sweep, since: now, atMost: .seconds(60)))
            #expect(maintenance.mayHaveDead)
            maintenance.heard(Heartbeat.NextWork(), at: now)
            #expect(!maintenance.mayHaveDead)
        }
    }

    @Test("its own limit ends a wait")
    func limit() async throws {
        try await onLoop { loop in
            let maintenance = MaintenanceSchedule(on: loop)
            let now = Instant.now()
            #expect(await !maintenance.wait(for: .sweep, since: now, atMost: .seconds(60), by: now))
        }
    }
}
