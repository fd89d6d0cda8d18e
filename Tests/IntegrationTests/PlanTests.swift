import EventLoop
import Postgres
import Testing

@testable import Queue

/// A session makes each plan once, perhaps for an empty queue. Each plan must also suit a long queue.
@Suite(.database) struct PlanTests {
    let database = TestScope.current?.database

    private static let statements = [
        Claim.oldestFirst, Claim.newestFirst, Claim.fromMark, FindLost.statement, FinishAccepted.plain,
        FinishAccepted.careful, FinishUnsent.statement, FindLocked.statement, FinishLookup.statement,
        TakeUnknown.statement, Sweep.statement, ReportedMessages.statement, ReportedMessages.closing,
        TakeProbe.statement, Heartbeat.statement, PollMessages.statement, RecordStatus.statement,
        RecordRedactions.statement, RecordReceipts.statement, KnownMessages.statement, RecallUnknown.statement,
        TakeFeedback.statement, FinishFeedback.statement,
    ]

    /// Statements that read an index from its beginning on purpose: a small one, of jobs under way or held, or its
    /// first entry.
    private static let meant = [
        "otpd_find_lost: send_jobs_leased", "otpd_take_probe: send_jobs_held", "otpd_heartbeat: messages_to_poll",
        "otpd_heartbeat: send_jobs_unknown", "otpd_sweep: send_jobs_unknown",
    ]

    /// The statements that read a whole table or index, or sort it, with the plans of a worker's session.
    private func wrong(_ session: TestDatabase.Session) async throws -> [String] {
        var wrong: [String] = []
        let columns = try await session.text(
            """
            SELECT c.relname, a.attname
              FROM pg_index i
              JOIN pg_class c ON c.oid = i.indexrelid
              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
             WHERE c.relnamespace = 'otp'::regnamespace
            """)
        let leading = Dictionary(
            uniqueKeysWithValues: columns.split(separator: "\n").map { row in
                let names = row.split(separator: "|").map(String.init)
                return (names[0], names[1])
            })
        for statement in Self.statements {
            let count = statement.parameterTypes.count
            let nulls = [String](repeating: "NULL", count: count).joined(separator: ", ")
            let types = try await session.text(
                "SELECT string_agg(t.oid::regtype::text, ', ' ORDER BY t.place) FROM unnest(ARRAY[\(oids(statement))]::oid[]) "
                    + "WITH ORDINALITY t (oid, place)")
            try await session.text("PREPARE planned \(types.isEmpty ? "" : "(\(types))") AS \(statement.sql)")
            let plan = try await session.text("EXPLAIN EXECUTE planned\(count > 0 ? "(\(nulls))" : "")")
            try await session.text("DEALLOCATE planned")
            let tables = ["send_jobs", "messages", "verifications", "unsent_jobs", "feedback_due"]
            let lines = plan.split(separator: "\n")
            for (place, line) in lines.enumerated() {
                let isScan = tables.contains { line.contains("Scan") && line.contains(" on \($0) ") }
                let next = lines.dropFirst(place + 1).first ?? ""
                let words = line.split(separator: " ")
                let index = words.firstIndex(of: "using").map { String(words[$0 + 1]) }
                // A condition on a later column alone reads the whole index, too.
                let isBounded =
                    next.contains("TID Cond")
                    || next.contains("Index Cond") && next.contains("(\(leading[index ?? ""] ?? "?") ")
                let isMeant = Self.meant.contains { meant in
                    let parts = meant.split(separator: ": ")
                    return statement.name == parts[0] && line.contains(" using \(parts[1]) ")
                }
                if isScan && !isBounded && !isMeant
                    || (statement.name.hasPrefix("otpd_claim") && line.contains("Sort "))
                {
                    wrong.append("\(statement.name): \(line)")
                }
            }
        }
        return wrong
    }

    private func oids(_ statement: Statement) -> String {
        statement.parameterTypes.map { "\($0.rawValue)" }.joined(separator: ", ")
    }

    private func session(_ database: TestDatabase) async throws -> TestDatabase.Session {
        let session = try await database.connect()
        try await WritingSession.begin(on: session.connection, deadline: .now() + .seconds(120))
        return session
    }

    @Test(arguments: ["never analyzed", "analyzed when empty", "analyzed with one row", "filled and not analyzed"])
    func plansServeALongQueue(_ state: String) async throws {
        let database = try #require(database)
        switch state {
        case "analyzed when empty": try await database.text("VACUUM ANALYZE")
        case "analyzed with one row":
            try await database.enqueue("+966501231001")
            try await database.text("VACUUM ANALYZE")
        case "filled and not analyzed": try await database.enqueueMany(2000)
        default: break
        }
        let session = try await session(database)
        let wrong = try await wrong(session)
        #expect(wrong == [])
        await session.close()
    }

    /// The test detects it: a session without these settings reads whole tables.
    @Test func withoutTheSettingsTheyWouldNot() async throws {
        let database = try #require(database)
        try await database.enqueue("+966501231001")
        try await database.text("VACUUM ANALYZE")
        let session = try await database.connect()
        try await session.text("SET plan_cache_mode = force_generic_plan")
        #expect(try await wrong(session).contains { $0.hasPrefix("otpd_claim:") })
        await session.close()
    }
}
