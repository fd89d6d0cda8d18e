import Postgres
import Testing

@Suite("PostgreSQL: values", .timeLimit(.minutes(10)))
struct ValueTests {
    @Test("every scalar type comes back as it went, NULL included")
    func scalars() async throws {
        try await withConnection { connection in
            let echo = Statement(
                "echo", "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $8 = '2024-02-29 12:34:56.789+00'",
                [.int8, .int4, .int2, .bool, .float8, .text, .bytea, .timestamptz, .interval, .text])
            let parameters = Parameters.of {
                $0.append(Int64.min)
                $0.append(Int32.max)
                $0.append(-7 as Int16)
                $0.append(true)
                $0.append(-0.1)
                $0.append("أهلا 🙂 'x' \\ ; DROP")
                $0.append(bytes: [0, 255, 10])
                $0.append(unixMicroseconds: 1_709_210_096_789_000)
                $0.append(intervalMicroseconds: 1_500_000)
                $0.appendNull()
            }
            let row = try await connection.execute(echo, parameters, deadline: soon)
            #expect(row.rowCount == 1 && row.columnCount == 11)
            #expect(try row.int64(0, 0) == .min)
            #expect(try row.int32(0, 1) == .max)
            #expect(try row.int32(0, 2) == -7)
            #expect(try row.bool(0, 3))
            #expect(try row.double(0, 4) == -0.1)
            #expect(try row.string(0, 5) == "أهلا 🙂 'x' \\ ; DROP")
            #expect(try row.bytes(0, 6) == [0, 255, 10])
            #expect(try row.unixMicroseconds(0, 7) == 1_709_210_096_789_000)
            #expect(row.withBytes(0, 8) { $0?.count } == 16)
            #expect(row.isNull(0, 9))
            #expect(try row.stringIfPresent(0, 9) == nil)
            #expect(try row.bool(0, 10))
            #expect(throws: PostgresError.self) { try row.string(0, 9) }
            #expect(throws: PostgresError.self) { try row.int32(0, 0) }
        }
    }

    @Test("arrays arrive element by element, NULLs and empty ones included")
    func arrays() async throws {
        try await withConnection { connection in
            let check = Statement(
                "arrays",
                """
                SELECT $1 = ARRAY[1, -2, 9223372036854775807]::int8[], $2 = ARRAY[3, 4]::int4[],
                       $3 = ARRAY['a', '', 'ü']::text[], $4 IS NOT DISTINCT FROM ARRAY['x', NULL]::text[],
                       $5 = '{}'::int8[], $6 = ARRAY['\\x00ff'::bytea], $7 = ARRAY[true, false],
                       $8 = ARRAY['2000-01-01 00:00:00+00'::timestamptz]
                """,
                [
                    .int8Array, .int4Array, .textArray, .textArray, .int8Array, .byteaArray, .boolArray,
                    .timestamptzArray,
                ])
            let parameters = Parameters.of {
                $0.append([1, -2, .max] as [Int64])
                $0.append([3, 4] as [Int32])
                $0.append(["a", "", "ü"])
                $0.append(["x", nil] as [String?])
                $0.append([] as [Int64])
                $0.append([[0, 255]] as [[UInt8]?])
                $0.append([true, false])
                $0.appendArray(of: .timestamptz) { $0.append(unixMicroseconds: 946_684_800_000_000) }
            }
            let row = try await connection.execute(check, parameters, deadline: soon)
            for column in 0..<8 { #expect(try row.bool(0, column), "column \(column)") }
        }
    }

    @Test("the infinities come and go; a time beyond what 64 bits count from 1970 is an error, not a trap")
    func times() async throws {
        try await withConnection { connection in
            let times = Statement(
                "times", "SELECT 'infinity'::timestamptz, '-infinity'::timestamptz, '294276-12-31 UTC'::timestamptz")
            let row = try await connection.execute(times, deadline: soon)
            #expect(try row.unixMicroseconds(0, 0) == .max && row.unixMicroseconds(0, 1) == .min)
            #expect(throws: PostgresError.self) { try row.unixMicroseconds(0, 2) }
            let check = Statement(
                "times_back", "SELECT $1 = 'infinity', $2 = '-infinity'", [.timestamptz, .timestamptz])
            let parameters = Parameters.of {
                $0.append(unixMicroseconds: .max)
                $0.append(unixMicroseconds: .min)
            }
            let back = try await connection.execute(check, parameters, deadline: soon)
            #expect(try back.bool(0, 0) && back.bool(0, 1))
        }
    }

    @Test("10,000 rows and 10 MB in one value come whole, and 10 MB go")
    func large() async throws {
        try await withConnection { connection in
            let rows = try await connection.execute(
                Statement("rows", "SELECT n::int8, repeat('x', 100) FROM generate_series(1, 10000) n"), deadline: soon)
            #expect(rows.rowCount == 10_000)
            var sum: Int64 = 0
            for row in 0..<rows.rowCount { sum += try rows.int64(row, 0) }
            #expect(sum == 50_005_000)
            let text = String(repeating: "y", count: 10_000_000)
            let echo = Statement("big", "SELECT $1 || 'z'", [.text])
            let back = try await connection.execute(echo, .of { $0.append(text) }, deadline: soon)
            #expect(try back.string(0, 0).utf8.count == 10_000_001)
        }
    }

    @Test("affected rows are told")
    func affected() async throws {
        try await withConnection { connection in
            try await connection.simple("CREATE TEMP TABLE t (n int8)", deadline: soon)
            let insert = Statement("insert", "INSERT INTO t SELECT unnest($1)", [.int8Array])
            let result = try await connection.execute(insert, .of { $0.append([1, 2, 3] as [Int64]) }, deadline: soon)
            #expect(result.affectedRows == 3)
        }
    }

    @Test("a row's columns are read in their order, in both formats")
    func inOrder() async throws {
        let sql = "SELECT n::int8, n::int4, 'a' || n, n > 1, n / 2.0::float8, NULL::text FROM generate_series(1, 2) n"
        try await withConnection { connection in
            let binary = try await connection.execute(Statement("in_order", sql), deadline: soon)
            let text = try #require(try await connection.simple(sql, deadline: soon).last)
            for result in [binary, text] {
                let rows = try result.map { row throws(PostgresError) in
                    let (n, small): (Int64, Int32) = (try row.next(), try row.next())
                    let (word, isLarge): (String, Bool?) = (try row.next(), try row.next())
                    let (half, nothing): (Double, String?) = (try row.next(), try row.next())
                    return "\(n) \(small) \(word) \(isLarge == true) \(half) \(nothing ?? "-")"
                }
                #expect(rows == ["1 1 a1 false 0.5 -", "2 2 a2 true 1.0 -"])
                var row = result.reader(1)
                let wide: Int = try row.next()
                #expect(wide == 2)
                #expect(throws: PostgresError.self) {
                    var row = result.reader()
                    for _ in 0..<5 { let _: String? = try row.next() }
                    let _: String = try row.next()
                }
            }
        }
    }
}
