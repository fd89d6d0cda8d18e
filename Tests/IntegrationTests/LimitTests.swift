import Postgres
import Testing

/// The limit of 5 per 5 minutes, as a backend meets it.
@Suite(.database) struct LimitTests {
    let database = TestScope.current?.database

    @Test func theSixthSendIsRefusedWhateverTheSpelling() async throws {
        let database = try #require(database)
        for (index, spelling) in ["0501234567", "501234567", "+966501234567", "٠٥٠١٢٣٤٥٦٧", "00966501234567"]
            .enumerated()
        {
            try await database.enqueue(spelling, subject: "s\(index)")
        }
        let sql = """
            WITH v AS (INSERT INTO otp.verifications (subject, phone_number)
                VALUES ('s6', '+966 (0)50 123-4567') RETURNING id)
            INSERT INTO otp.send_jobs (verification_id) SELECT id FROM v
            """
        let refusal = try await database.refusal(sql)
        #expect(refusal.sqlstate == "OT001")
        let detail = Dictionary(
            uniqueKeysWithValues: (refusal.detail ?? "").split(separator: " ").compactMap { pair -> (String, String)? in
                let parts = pair.split(separator: "=")
                return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
            })
        #expect(detail["window"] == "300")
        #expect(detail["scope"] == "phone")
        let wait = try #require(detail["retry_after"].flatMap { Int($0) })
        #expect((1...300).contains(wait))
        #expect(!"\(refusal.message) \(refusal.detail ?? "") \(refusal.hint ?? "")".contains("501234567"))
        // The refused one left no row, and does not affect another phone.
        #expect(try await database.text("SELECT count(*) FROM otp.verifications") == "5")
        try await database.enqueue("0501234568", subject: "s6")
        #expect(try await database.text("SELECT count(*) FROM otp.send_jobs") == "6")
    }

    @Test func twentySendersAtOnceGetFive() async throws {
        let database = try #require(database)
        let outcomes = try await withThrowingTaskGroup(of: String.self) { group in
            for index in 0..<20 {
                group.addTask {
                    let session = try await database.connect()
                    defer { Task { await session.close() } }
                    do {
                        try await session.text("SELECT otp.request('s\(index)', '0501234567')")
                        return "sent"
                    } catch let error as PostgresError {
                        return error.sqlstate ?? "\(error)"
                    }
                }
            }
            return try await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
        }
        #expect(outcomes == ["sent": 5, "OT001": 15])
    }
}
