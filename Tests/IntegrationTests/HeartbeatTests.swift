import EventLoop
import Postgres
import Queue
import Testing

/// The next work that a heartbeat finds for the loops of an idle worker.
@Suite(.database) struct HeartbeatTests {
    let database = TestScope.current?.database

    private func nextWork(_ session: TestDatabase.Session) async throws -> Heartbeat.NextWork {
        let report = WorkerReport(host: "h", pid: 1, version: "1")
        let answer = try await Heartbeat.run(
            on: session.connection, worker: 7, report, isIdle: true, deadline: .now() + .seconds(120))
        return try #require(answer.nextWork)
    }

    private func isAbout(_ span: Instant.Duration?, _ seconds: Double) -> Bool {
        span.map { abs($0.seconds - seconds) < 20 } ?? false
    }

    @Test func eachFindingIsOfItsOwnLoop() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        #expect(try await nextWork(session) == .init())

        try await database.enqueue("+966501231001", life: "500 seconds")
        #expect(isAbout(try await nextWork(session).nextEnd, 500))
        try await database.text(
            "UPDATE otp.send_jobs SET state = 'sending', lease_expires_at = now() + interval '100 seconds'")
        #expect(isAbout(try await nextWork(session).nextEnd, 100))

        try await database.text(
            "UPDATE otp.send_jobs SET state = 'unknown', unknown_at = now(), next_lookup_at = now() + interval '200 seconds'"
        )
        let unknown = try await nextWork(session)
        #expect(isAbout(unknown.nextLookup, 200))
        #expect(unknown.needsSweeps)
        #expect(unknown.nextEnd == nil)
        // One last lookup decides about a job that is unknown when its code expires.
        try await database.text("UPDATE otp.send_jobs SET expires_at = now()")
        #expect(isAbout(try await nextWork(session).nextLookup, 200))
        try await database.text("DELETE FROM otp.send_jobs")

        try await database.text(
            """
            INSERT INTO otp.messages (message_sid, send_job_id, verification_id, attempt, is_primary, requested_at, status,
                                      next_poll_at)
            SELECT 'SM1', 1, id, 1, true, now(), 'queued', now() + interval '300 seconds' FROM otp.verifications
            """)
        #expect(isAbout(try await nextWork(session).nextPoll, 300))
        try await database.text("UPDATE otp.messages SET next_poll_at = NULL")

        try await database.text("UPDATE otp.settings SET daily_budget = 100")
        #expect(try await nextWork(session) == .init(needsSweeps: true))
        try await database.text("UPDATE otp.settings SET daily_budget = NULL")
        #expect(try await nextWork(session) == .init())
        await session.close()
    }

    @Test func aWorkerThatDiedIsFoundOnce() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await database.text(
            """
            INSERT INTO otp.worker_status (worker_id, host, pid, version, state, heartbeat_at)
            VALUES (900, 'h', 1, '1', 'running', now() - interval '31 seconds'),
                   (901, 'h', 1, '1', 'running', now() - interval '1 seconds'),
                   (902, 'h', 1, '1', 'stopped', now() - interval '1 day')
            """)
        #expect(try await nextWork(session).hasDeadWorker)
        #expect(try await MarkDead.run(on: session.connection, deadline: .now() + .seconds(120)) == [900])
        #expect(try await nextWork(session) == .init())
        await session.close()
    }

    @Test func aBusyWorkerAsksForNothing() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        let answer = try await Heartbeat.run(
            on: session.connection, worker: 7, WorkerReport(host: "h", pid: 1, version: "1"), isIdle: false,
            deadline: .now() + .seconds(120))
        #expect(answer.nextWork == nil)
        await session.close()
    }
}
