import EventLoop
import OTP
import Postgres
import Queue
import Testing

/// The statements by which workers share pauses, at moments that are rare for a whole worker.
@Suite(.database) struct PauseStatementTests {
    let database = TestScope.current?.database

    private var soon: Instant { .now() + .seconds(120) }

    /// Jobs that worker 1 has claimed.
    private func sending(_ count: Int) async throws -> [Int64] {
        let database = try #require(database)
        for index in 1...count { try await database.enqueue("+96650123\(1000 + index)") }
        try await database.text(
            "UPDATE otp.send_jobs SET state = 'sending', attempt = 1, worker = 1, lease_expires_at = now() + interval '30 s'"
        )
        return try await database.text("SELECT id FROM otp.send_jobs ORDER BY id").split(separator: "\n")
            .compactMap { Int64($0) }
    }

    private func country(isProbed: Bool = true) throws -> Pause {
        Pause(
            try #require(PauseScope(scope: "country", key: "SA")), reason: "refused", remedy: "allow it",
            isProbed: isProbed)
    }

    private func hold(_ jobs: [Int64], on connection: Connection) async throws {
        var ends = FinishUnsent()
        for job in jobs { ends.append(UnsentEnd(job: job, attempt: 1, .hold, error: "e", holdKey: "country SA")) }
        try await ends.run(on: connection, worker: 1, deadline: soon)
    }

    @Test func aJobForAPauseThatHasEndedIsDueSoon() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        let jobs = try await sending(1)
        try await hold(jobs, on: session.connection)
        #expect(
            try await database.text(
                "SELECT state, hold_kind IS NULL, due_at - now() < '1 second', last_error FROM otp.send_jobs")
                == "queued|t|t|e")
        await session.close()
    }

    /// The end of a pause waits for a worker that is holding jobs with it, and then releases them too.
    @Test func anEndMissesNoJobThatIsBeingHeld() async throws {
        let database = try #require(database)
        let worker = try await database.connect()
        let ending = try await database.connect()
        let jobs = try await sending(2)
        try await BeginPause.run(
            on: worker.connection, try country(), firstProbe: .seconds(5), worker: 1, deadline: soon)
        // FinishUnsent in an open transaction, as if its commit were slow.
        try await worker.text("BEGIN")
        try await hold(jobs, on: worker.connection)
        async let ended: Void = EndPause.run(on: ending.connection, "country SA", deadline: soon)
        try await database.becomes(
            "1",
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM otp.pauses%'"
        )
        try await worker.text("COMMIT")
        try await ended
        #expect(
            try await database.text(
                "SELECT count(*) FROM otp.send_jobs WHERE hold_kind IS NULL AND due_at <= clock_timestamp()")
                == "2")
        for session in [worker, ending] { await session.close() }
    }

    /// However many workers look at once, one takes the turn and releases one job: the newest live one.
    @Test func oneWorkerProbesWithOneJob() async throws {
        let database = try #require(database)
        var sessions: [TestDatabase.Session] = []
        for _ in 0..<6 { sessions.append(try await database.connect()) }
        let jobs = try await sending(5)
        try await BeginPause.run(
            on: sessions[0].connection, try country(), firstProbe: .seconds(5), worker: 1, deadline: soon)
        try await hold(jobs, on: sessions[0].connection)
        try await database.text("UPDATE otp.send_jobs SET expires_at = now(), due_at = now() WHERE id = \(jobs[4])")
        for probe in 1...3 {
            try await database.text("UPDATE otp.pauses SET next_probe_at = now()")
            let taken = try await withThrowingTaskGroup(of: TakeProbe.Taken.self) { group in
                for session in sessions {
                    group.addTask {
                        try await TakeProbe.run(
                            on: session.connection, first: .seconds(5), longest: .seconds(15),
                            deadline: .now() + .seconds(120))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(taken.reduce(0) { $0 + $1.released } == 1)
            #expect(
                try await database.text(
                    """
                    SELECT string_agg(j.id::text, ',') = '\(jobs[3])', p.probes,
                           round(extract(epoch FROM p.next_probe_at - now())) BETWEEN \(probe == 1 ? 8 : 13) AND \(probe == 1 ? 10 : 15)
                      FROM otp.send_jobs j, otp.pauses p
                     WHERE j.hold_kind = 'pause' AND j.hold_key = p.name AND j.due_at <= now() AND j.expires_at > now()
                     GROUP BY 2, 3
                    """) == "t|\(probe)|t")
            // The pause held it again.
            try await database.text("UPDATE otp.send_jobs SET due_at = expires_at WHERE id = \(jobs[3])")
        }
        for session in sessions { await session.close() }
    }

    /// Without a job no turn is used up, so the first job to arrive is a probe at once.
    @Test func noTurnIsTakenForNobody() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await BeginPause.run(
            on: session.connection, try country(), firstProbe: .seconds(0), worker: 1, deadline: soon)
        let taken = try await TakeProbe.run(
            on: session.connection, first: .seconds(5), longest: .seconds(60), deadline: soon)
        #expect(taken.released == 0 && taken.next.map { $0 <= .seconds(0) } == true)
        #expect(try await database.text("SELECT probes FROM otp.pauses") == "0")
        await session.close()
    }

    /// Workers neither take over nor end a pause that an operator began.
    @Test func workersLeaveWhatWasPausedByHand() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        try await PauseByHand.run(on: session.connection, try country().scope, reason: "by hand", deadline: soon)
        try await BeginPause.run(
            on: session.connection, try country(), firstProbe: .seconds(5), worker: 1, deadline: soon)
        try await EndPause.run(on: session.connection, "country SA", deadline: soon)
        #expect(
            try await database.text("SELECT reason, next_probe_at IS NULL, remedy IS NULL FROM otp.pauses")
                == "by hand|t|t")
        #expect(try await ResumeByHand.run(on: session.connection, try country().scope, deadline: soon))
        #expect(try await ResumeByHand.run(on: session.connection, try country().scope, deadline: soon) == false)
        await session.close()
    }
}
