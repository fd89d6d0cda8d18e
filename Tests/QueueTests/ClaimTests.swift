import Postgres
import Testing

@testable import Queue

@Suite("Claim")
struct ClaimTests {
    /// The three statements are written out, so that they can be read as SQL. Their common parts must stay equal.
    @Test("the three orders of a claim differ in order and beginning alone")
    func variants() {
        let oldest = Claim.oldestFirst.sql
        #expect(
            Claim.newestFirst.sql
                == oldest.replacing("ORDER BY q.due_at, q.id", with: "ORDER BY q.due_at DESC, q.id DESC"))
        let lowest = """
            mark AS MATERIALIZED (
                SELECT least((SELECT min(f.due_at)
                                FROM otp.send_jobs f
                               WHERE f.state = 'queued'
                                 AND f.due_at >= coalesce($6, '-infinity')),
                             now()) AS due_at
            ),
            """
        let fromMark = Claim.fromMark.sql
        #expect(fromMark.hasPrefix("WITH \(lowest) claimed AS ("))
        #expect(
            fromMark.replacing("WITH \(lowest) claimed AS (", with: "WITH claimed AS (")
                .replacing("\n              AND q.due_at >= (SELECT m.due_at FROM mark m)", with: "")
                .replacing(",\n       (SELECT m.due_at FROM mark m) - interval '1 second'", with: "") == oldest)
    }
}
