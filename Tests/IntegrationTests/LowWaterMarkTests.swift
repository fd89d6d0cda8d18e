import EventLoop
import Foundation
import OTP
import Postgres
import Testing

@testable import Queue

/// The cost of a claim while another session's transaction keeps every dead row.
@Suite(.database) struct LowWaterMarkTests {
    let database = TestScope.current?.database

    /// The pages that a claim of ten touches, from `start` on. The claim is rolled back.
    private func pages(_ session: TestDatabase.Session, from start: String) async throws -> Int {
        let plan = try await session.text(
            "BEGIN; EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE claim(10, 1, 30, true, '{sms}', \(start))"
        )
        try await session.text("ROLLBACK")
        let answer = try JSONSerialization.jsonObject(with: Data(plan.utf8)) as? [[String: Any]]
        let root = try #require(answer?.first?["Plan"] as? [String: Any])
        return try #require(root["Shared Hit Blocks"] as? Int) + (root["Shared Read Blocks"] as? Int ?? 0)
    }

    @Test func deadEntriesBelowTheMarkAreNotSteppedOver() async throws {
        let database = try #require(database)
        let claims = try await database.connect()
        try await database.enqueueMany(4000)
        // As if one had come every 2 ms, the last of them a moment ago.
        try await database.text(
            """
            UPDATE otp.send_jobs SET due_at = now() - (4000 - id % 4000) * interval '2 milliseconds'
            """)
        try await database.text("VACUUM FULL ANALYZE otp.send_jobs")
        try await claims.text(
            """
            SET plan_cache_mode = force_generic_plan;
            PREPARE claim (int, bigint, float8, bool, text[], timestamptz) AS \(Claim.fromMark.sql)
            """)
        let snapshot = try await database.connect()
        try await snapshot.text("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM otp.send_jobs")
        for _ in 0..<7 {
            let taken = try await Claim.run(
                on: claims.connection, limit: 500, quarantined: true, channels: [.sms], worker: 1, keys: .tests,
                lease: .seconds(30),
                deadline: .now() + .seconds(120))
            #expect(taken.jobs.count == 500)
        }
        let last = try await Claim.run(
            on: claims.connection, limit: 10, .fromMark(from: nil), quarantined: true, channels: [.sms], worker: 1,
            keys: .tests,
            lease: .seconds(30),
            deadline: .now() + .seconds(120))
        let mark = try #require(last.lowest)
        try await database.text("VACUUM otp.send_jobs")
        let all = try await pages(claims, from: "NULL")
        let marked = try await pages(claims, from: "timestamptz 'epoch' + \(mark) * interval '1 microsecond'")
        let size = try #require(
            Int(
                try await database.text(
                    "SELECT pg_relation_size('otp.send_jobs') / current_setting('block_size')::int")))
        // 3510 of 4000 are dead. A second's worth of them, 500, are above the mark.
        #expect(all - marked > size / 2, "\(all) pages of \(size) with dead entries, \(marked) from the mark")
        await snapshot.close()
        await claims.close()
    }

    private func claim(_ session: TestDatabase.Session, _ limit: Int, from start: Int64? = nil) async throws
        -> ClaimedJobs
    {
        try await Claim.run(
            on: session.connection, limit: limit, .fromMark(from: start), quarantined: true, channels: [.sms],
            worker: 1,
            keys: .tests, lease: .seconds(30), deadline: .now() + .seconds(120))
    }

    @Test func theMarkIsBelowWhatIsLeftInAnybodysHands() async throws {
        let database = try #require(database)
        let claims = try await database.connect()
        try await database.enqueueMany(30)
        try await database.text("UPDATE otp.send_jobs SET due_at = now() - (60 - id % 30) * interval '1 second'")
        // Another worker's uncommitted claim, which may still be rolled back.
        let other = try await database.connect()
        try await other.text(
            """
            BEGIN; UPDATE otp.send_jobs SET state = 'sending'
             WHERE id IN (SELECT id FROM otp.send_jobs ORDER BY due_at LIMIT 10)
            """)
        let first = try await claim(claims, 5)
        #expect(first.jobs.count == 5)
        let second = try await claim(claims, 5, from: first.lowest)
        #expect(second.jobs.count == 5)
        try await other.text("ROLLBACK")
        let third = try await claim(claims, 30, from: second.lowest)
        #expect(third.jobs.count == 20, "what the other worker let go is claimed from the mark")
        await other.close()
        await claims.close()
    }

    @Test func aJobThatAppearsBelowTheMarkIsFoundByAClaimOfEverything() async throws {
        let database = try #require(database)
        let claims = try await database.connect()
        try await database.enqueueMany(2)
        let mark = try #require(try await claim(claims, 1).lowest)
        try await database.text(
            "UPDATE otp.send_jobs SET due_at = now() - interval '1 minute' WHERE state = 'queued'")
        #expect(try await claim(claims, 1, from: mark).jobs.isEmpty)
        #expect(try await claim(claims, 1).jobs.count == 1)
        await claims.close()
    }
}
