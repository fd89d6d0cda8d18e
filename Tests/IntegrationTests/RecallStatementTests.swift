import EventLoop
import OTP
import Postgres
import Queue
import Testing

/// What a worker writes to a database that has forgotten a claim (`RecallUnknown`).
@Suite(.database) struct RecallStatementTests {
    let database = TestScope.current?.database

    @Test("a job becomes unknown whatever state an earlier attempt left it in; one that the database knows does not")
    func recalls() async throws {
        let database = try #require(database)
        let session = try await database.connect()
        for index in 1...5 { try await database.enqueue("+96650123\(1000 + index)") }
        try await database.text(
            """
            CREATE TABLE public.numbered AS SELECT id, row_number() OVER (ORDER BY id) AS n FROM otp.send_jobs;
            UPDATE otp.send_jobs j
               SET state = CASE n WHEN 2 THEN 'sending' WHEN 3 THEN 'unknown' ELSE 'queued' END,
                   attempt = CASE n WHEN 4 THEN 2 ELSE 1 END,
                   worker = CASE WHEN n IN (2, 3) THEN 2 END,
                   lease_expires_at = CASE WHEN n IN (2, 3) THEN now() END,
                   unknown_at = CASE n WHEN 3 THEN now() - interval '1 minute' END,
                   next_lookup_at = CASE n WHEN 3 THEN now() + interval '1 minute' END,
                   lookups = CASE n WHEN 3 THEN 1 ELSE 0 END
              FROM public.numbered WHERE numbered.id = j.id
            """)
        let rows = try await database.text(
            "SELECT id, (extract(epoch FROM requested_at) * 1000000)::bigint FROM otp.send_jobs ORDER BY id")
        var attempts = RecallUnknown()
        for (index, row) in rows.split(separator: "\n").enumerated() {
            let fields = row.split(separator: "|").compactMap { Int64($0) }
            // The fifth is another job, whose id was given out again. The second may still leave for 20 s.
            attempts.append(
                job: fields[0], attempt: 2, requestedAt: fields[1] + (index == 4 ? 1 : 0),
                age: .seconds(index == 1 ? -20 : 10))
        }
        let count = try await attempts.run(on: session.connection, worker: 7, deadline: .now() + .seconds(120))
        #expect(count == 3)
        let jobs = try await database.text(
            """
            SELECT n, state, attempt, lookups, worker, round(extract(epoch FROM now() - unknown_at) / 10) * 10
              FROM otp.send_jobs JOIN public.numbered USING (id) ORDER BY n
            """)
        #expect(
            jobs.split(separator: "\n").map { $0.prefix(while: { $0 != "." }) } == [
                "1|unknown|2|0|7|10", "2|unknown|2|0|7|-20", "3|unknown|2|0|7|10", "4|queued|2|0||", "5|queued|1|0||",
            ])
        await session.close()
    }
}
