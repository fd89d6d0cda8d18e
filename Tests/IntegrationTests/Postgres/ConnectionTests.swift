import EventLoop
import Postgres
import Testing

@Suite("PostgreSQL: statements", .timeLimit(.minutes(10)))
struct StatementTests {
    @Test("one statement goes and comes back")
    func one() async throws {
        let sum = try await withConnection { connection in
            let add = Statement("add", "SELECT $1 + $2", [.int8, .int8])
            var total: Int64 = 0
            for number in 0..<5 as Range<Int64> {
                let parameters = Parameters.of {
                    $0.append(number)
                    $0.append(1 as Int64)
                }
                total += try await connection.execute(add, parameters, deadline: soon).int64(0, 0)
            }
            return total
        }
        #expect(sum == 15)
    }

    @Test("the simple protocol takes several commands, and the pipeline goes on after it")
    func simple() async throws {
        try await withConnection { connection in
            let results = try await connection.simple("SELECT 1 AS a; SELECT 'x' UNION ALL SELECT 'y'", deadline: soon)
            #expect(results.count == 2)
            #expect(try results[0].int64(0, 0) == 1)
            #expect(results[0].column("a") == 0)
            #expect(try results[1].string(1, 0) == "y")
            let result = try await connection.execute(Statement("two", "SELECT 2::int4"), deadline: soon)
            #expect(try result.int32(0, 0) == 2)
        }
    }
}
